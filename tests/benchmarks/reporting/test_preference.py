"""Blind pairs as a page, and what people preferred in the report."""

import json
import re

import av
import numpy as np
import pytest

from benchmarks.__main__ import main
from benchmarks.reporting.preference import FORMAT, read_key, votes_file
from benchmarks.reporting.votes import read_choices
from holocine import read_video, write_video

SPECS = ("alphasystem=holocine", "betasystem=isolated", "gammasystem=no-window", "truth")


@pytest.fixture
def run(tiny, write_run, tmp_path):
    """Three systems' videos of two storyboards, each with its storyboard inside."""
    folder = write_run(tmp_path / "run", tiny, SPECS, lambda *_: {"sca": ({"sum": 1.0, "count": 1}, 1, 1)})
    rng = np.random.default_rng(0)
    for entry in tiny.entries[:2]:
        for name in ("alphasystem", "betasystem", "gammasystem"):
            frames = rng.integers(0, 255, (9, 16, 16, 3), np.uint8)
            write_video(folder / "items" / name / entry.id / "0" / "video.mp4", frames, 12.0, entry.storyboard)
    return folder


@pytest.fixture
def page(run, tmp_path, capsys):
    assert main(["preference", "export", str(run), "--out", str(tmp_path / "page")]) == 0
    assert "6 pairs; the key stays in" in capsys.readouterr().out
    return tmp_path / "page"


def test_nothing_on_the_page_tells_whose_video_it_is(run, page, tiny):
    text = (page / "index.html").read_text()
    shown = json.loads(re.search(r'id="data">(.*?)</script>', text)[1])["pairs"]
    assert len(shown) == 6 and set(shown[0]) == {"id", "left", "right", "global", "captions"}
    files = sorted(path for path in page.rglob("*") if path.is_file())
    assert len(files) == 1 + 12, "a video of its own for every side, so that no two pairs share a name"
    for path in files:
        content = (path.name.encode() + path.read_bytes()).lower()
        for word in (b"alphasystem", b"betasystem", b"gammasystem", b"isolated", b"no-window", b"no_window"):
            assert word not in content, path
    assert not re.search(r"https?://|url\(", text)


def test_copies_show_the_same_pictures_and_keep_nothing_else(run, page):
    pair = read_key(run)[0]
    text = (page / "index.html").read_text()
    [shown] = [
        one for one in json.loads(re.search(r'id="data">(.*?)</script>', text)[1])["pairs"] if one["id"] == pair.id
    ]
    original = run / "items" / pair.left / pair.storyboard_id / "0" / "video.mp4"
    np.testing.assert_array_equal(read_video(page / shown["left"]).frames, read_video(original).frames)
    assert read_video(original).storyboard is not None and read_video(page / shown["left"]).storyboard is None
    with av.open(str(page / shown["left"])) as video:
        assert not {"comment", "title", "description"} & set(video.metadata)


def test_votes_come_back_and_stand_in_the_report(run, page, tmp_path, capsys):
    assert main(["preference", "show", str(run)]) == 0
    assert "has no votes yet" in capsys.readouterr().out
    order = ("alphasystem", "betasystem", "gammasystem")
    votes = {p.id: "left" if order.index(p.left) < order.index(p.right) else "right" for p in read_key(run)}
    file = tmp_path / "votes.json"
    for voter in ("one", "two"):
        file.write_text(json.dumps({"format": FORMAT, "voter": voter, "votes": votes}))
        assert main(["preference", "import", str(run), str(file)]) == 0
    assert "6 new votes" in capsys.readouterr().out
    assert main(["preference", "import", str(run), str(file)]) == 0
    assert ": 0 new votes" in capsys.readouterr().out
    assert len(read_choices(votes_file(run))) == 12

    assert main(["preference", "show", str(run)]) == 0
    ranked = [line.split()[0] for line in capsys.readouterr().out.splitlines() if re.match(r"\w+system  ", line)]
    assert ranked == list(order)
    assert main(["report", str(run), "--out", str(tmp_path / "report")]) == 0
    report = (tmp_path / "report" / "report.md").read_text()
    assert re.search(r"\| alphasystem \| \+\d\.\d\d \| \[.*\] \| 100 % \| 8 \|", report)
    assert "What people prefer" in (tmp_path / "report" / "report.html").read_text()


def test_a_second_page_leaves_the_votes_of_the_first_readable(run, page, tmp_path):
    before = read_key(run)
    assert main(["preference", "export", str(run), "--out", str(tmp_path / "second"), "--seed", "1"]) == 0
    assert set(before) <= set(read_key(run)) and len(read_key(run)) > len(before)


def test_what_cannot_be_used_is_one_sentence(run, page, tmp_path, capsys):
    def complaint(*arguments) -> str:
        assert main(["preference", *map(str, arguments)]) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        return error

    assert "is inside the run, where those who judge could find the key" in complaint(
        *("export", run, "--out", run / "page")
    )
    assert "the run has no system 'delta'" in complaint("export", run, "--out", page, "--systems", "alphasystem,delta")
    file = tmp_path / "votes.json"
    assert "cannot be read" in complaint("import", run, file)
    file.write_text('{"format": "other"}')
    assert "holds no votes: it is the file that the page of pairs hands over" in complaint("import", run, file)
    file.write_text(json.dumps({"format": FORMAT, "voter": "me", "votes": {"0" * 16: "left"}}))
    assert f"pair {'0' * 16} is not of a page that was exported from" in complaint("import", run, file)
    file.write_text(json.dumps({"format": FORMAT, "voter": "me", "votes": {read_key(run)[0].id: "up"}}))
    assert "a choice is one of left, right, tie, not 'up'" in complaint("import", run, file)
    assert read_choices(votes_file(run)) == []
