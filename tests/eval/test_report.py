import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from eval.encoders import Encoders
from eval.report import write_report
from eval.report.html import Html, tag
from eval.scorecard import ScorecardError, examine
from eval.shots import load_detector
from eval.stills import save_stills
from holocine import Storyboard

VOID = {"meta", "br"}


class Page(HTMLParser):
    """Elements by their class, texts, and a check that every element is closed in order."""

    def __init__(self, text):
        super().__init__()
        self.stack, self.by_class, self.attributes, self.texts, self.style = [], {}, [], [], ""
        self.feed(text)
        assert not self.stack, f"not closed: {self.stack}"

    def handle_starttag(self, name, attributes):
        attributes = dict(attributes)
        self.attributes.append((name, attributes))
        for one in (attributes.get("class") or "").split():
            self.by_class.setdefault(one, []).append(attributes)
        if name not in VOID:
            self.stack.append(name)

    def handle_endtag(self, name):
        assert self.stack.pop() == name

    def handle_data(self, data):
        if self.stack[-1:] == ["style"]:
            self.style += data
        else:
            self.texts.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())


class Colours:
    id, sha256, licence, download_mb = "colours <1>", "c" * 64, "none & void", 0.0

    def embed_images(self, pictures):
        means = np.c_[pictures.reshape(len(pictures), -1, 3).mean(1) - 100, np.full(len(pictures), 60.0)]
        return (means / np.linalg.norm(means, axis=1, keepdims=True)).astype(np.float32)

    def embed_texts(self, texts):
        return np.eye(4, dtype=np.float32)[np.arange(len(texts)) % 4]


ENCODERS = Encoders(clip=Colours(), missing={"dino": "no DINO <here>", "aesthetic": "no predictor"})


def board(cuts=(9, 21), title="Rain & <b>thunder</b>"):
    return Storyboard.from_captions(
        "A studio. [character1] is a <script>alert('painter')</script>.",
        ["Medium shot of [character1].", 'There is "a cat" & a dog.', "[character1] at the window."],
        num_frames=33,
        shot_cut_frames=list(cuts),
        fps=12.0,
        title=title,
    )


@pytest.fixture(scope="module")
def fill(three_shots):
    """Call with a folder, a name and what is scored to add a scorecard and its stills."""
    detector = load_detector("pyscenedetect")

    def add(folder, name, storyboard, frames=three_shots, stills=True):
        card, evidence = examine(frames, storyboard, fps=12, encoders=ENCODERS, detector=detector)
        card = card.model_copy(update={"video": card.video.model_copy(update={"name": f"{name}.mp4"})})
        card.save(folder / f"{name}.json")
        if stills:
            save_stills(folder / f"{name}.jpg", card, evidence.footage.pictures)
        return card

    return add


def page_of(folder):
    out, _ = write_report(folder)
    return Page(out.read_text(encoding="utf-8"))


def test_the_page_shows_every_video_and_the_summary(tmp_path, fill):
    for name in ("one", "two"):
        fill(tmp_path, name, board())
    out, number = write_report(tmp_path)
    assert (out, number) == (tmp_path / "report.html", 2)
    page = page_of(tmp_path)
    assert len(page.by_class["video"]) == 2
    for text in ("one.mp4", "two.mp4", "33 frames", "2 videos", "All videos together", "4 of 4", "character_margin/2"):
        assert text in page.text


def test_nothing_is_fetched(tmp_path, fill):
    fill(tmp_path, "one", board())
    page = page_of(tmp_path)
    assert not {"script", "link", "iframe", "img"} & {name for name, _ in page.attributes}
    assert all(target.startswith("data:image/jpeg;base64,") for target in re.findall(r"url\(([^)]*)\)", page.style))
    assert "@import" not in page.style
    for _, attributes in page.attributes:
        assert "src" not in attributes and (attributes.get("href") or "#").startswith("#")


def test_what_people_wrote_is_shown_as_they_wrote_it(tmp_path, fill):
    fill(tmp_path, "a <i>b", board())
    page = page_of(tmp_path)
    text = page.text.replace(" [character1] ", "[character1]")
    for written in ("<script>alert('painter')</script>", "Rain & <b>thunder</b>", 'There is "a cat" & a dog.'):
        assert written in text
    for written in ("a <i>b.mp4", "No DINO <here>", "colours <1> (none & void)"):
        assert written in text
    assert not any(name == "script" for name, _ in page.attributes)


def test_cuts_that_miss_their_frame_are_marked(tmp_path, fill, three_shots):
    fill(tmp_path, "late", board(cuts=(5, 21)))
    page = page_of(tmp_path)
    assert [mark["title"] for mark in page.by_class["off"]] == ["asked at frame 5, found at frame 9"]
    assert "+4" in page.text and "1 of 2 requested cuts fall on their frame" in page.text
    fill(tmp_path, "late", board(), frames=np.concatenate([three_shots[:21], three_shots[12:18]]))
    assert [mark["title"] for mark in page_of(tmp_path).by_class["wrong"]] == ["asked at frame 21, not found"]


def test_stills_stand_in_the_page_at_their_place(tmp_path, fill):
    from eval.stills import sheet_places

    card = fill(tmp_path, "one", board())
    page = page_of(tmp_path)
    stills = [attributes for attributes in page.by_class["still"] if attributes["aria-label"] == "frame 10"]
    columns, rows, places = sheet_places(card)
    column, row = places[10]
    assert stills and all(
        f"background-position:{100 * column / (columns - 1):.3f}% {100 * row / (rows - 1):.3f}%" in still["style"]
        for still in stills
    )
    assert ".sheet0" in page.style


def test_a_scorecard_without_stills_is_shown_without_pictures(tmp_path, fill):
    fill(tmp_path, "one", board(), stills=False)
    page = page_of(tmp_path)
    assert "still" not in page.by_class and "one.mp4" in page.text


def test_similarities_are_a_matrix_and_pairs_of_one_character_are_framed(tmp_path, fill):
    card = fill(tmp_path, "one", board())
    page = page_of(tmp_path)
    assert len(page.by_class["heat"]) == 6 and len(page.by_class["self"]) == 3
    assert {cell["title"][:15] for cell in page.by_class["same"]} == {"shots 1 and 3: ", "shots 3 and 1: "}
    assert f"{card.similarity[0][2]:.2f}" in page.text
    assert "Least alike" in page.text


def test_a_video_without_a_storyboard_shows_its_detected_shots(tmp_path, fill):
    fill(tmp_path, "bare", None)
    page = page_of(tmp_path)
    assert (
        "2 cuts found by scenedetect-headless" in page.text
        and "there is no storyboard to compare them with" in page.text
    )
    assert "Shot 3" in page.text and "asked" not in page.by_class
    assert "Without a value" in page.text


def test_short_videos_and_one_shot_are_shown(tmp_path, fill, three_shots):
    fill(tmp_path, "one", Storyboard.from_captions("Rain.", ["Wide shot."], num_frames=1), frames=three_shots[:1])
    fill(tmp_path, "two", board(), frames=three_shots[:17])
    page = page_of(tmp_path)
    assert "1 frame ·" in page.text and "17 frames" in page.text
    assert "16 fewer than the 33" in page.text


def test_scorecards_that_cannot_be_combined_are_still_shown(tmp_path, fill):
    card = fill(tmp_path, "one", board())
    card.model_copy(update={"detector": "another 1.0"}).save(tmp_path / "two.json")
    page = page_of(tmp_path)
    assert "There is no number over all videos: the scorecards come from different shot detectors" in page.text
    assert len(page.by_class["video"]) == 2


def test_files_that_are_no_scorecards_are_named_and_left_out(tmp_path, fill):
    fill(tmp_path, "one", board())
    (tmp_path / "other.json").write_text("{}")
    out, number = write_report(tmp_path, tmp_path / "page.html")
    assert out == tmp_path / "page.html" and number == 1
    assert "other.json is no scorecard" in Page(out.read_text(encoding="utf-8")).text


def test_folders_without_scorecards_are_refused(tmp_path):
    with pytest.raises(ScorecardError, match="is not a folder of scorecards"):
        write_report(tmp_path / "missing")
    with pytest.raises(ScorecardError, match="holds no scorecard"):
        write_report(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_same_scorecards_give_the_same_page(tmp_path, fill):
    fill(tmp_path, "one", board())
    first = write_report(tmp_path)[0].read_bytes()
    assert write_report(tmp_path)[0].read_bytes() == first


def test_elements_escape_everything_but_elements():
    made = tag("p", "a < b", [tag("b", "&"), None], class_=("x", "", "y"), title='"', open=True, hidden=None)
    assert made == '<p class="x y" title="&quot;" open>a &lt; b<b>&amp;</b></p>'
    assert isinstance(made, Html) and tag("br") == "<br>"


def test_the_style_is_found_beside_the_code():
    import eval.report.page

    style = Path(eval.report.page.STYLE).read_text()
    assert "prefers-color-scheme: dark" in style
