"""Suites: what loads, what is refused and with which words, and whether the two that come with the program hold."""

from __future__ import annotations

import json
import re
from collections import Counter
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pytest

from benchmarks.suites.__main__ import main
from benchmarks.suites.puppet import FIRST_SEED, build_puppet_suite, easily_swapped
from benchmarks.suites.suite import Suite, SuiteError, load_suite, suite_path, write_suite
from holocine.prompt import character_descriptions, character_tags
from holocine.puppet.captions import to_storyboard
from holocine.puppet.renderer import render
from holocine.puppet.training.data import TRAINING_SEED
from holocine.puppet.world import ACTIONS, CAMERAS, MIN_SHOT_FRAMES, SETTINGS, SIZES

HEADER = {
    "format": "holocine-suite/1",
    "suite": "mine",
    "version": 1,
    "fps": 15,
    "num_frames": [17],
    "size": [832, 480],
}
LINE = {
    "id": "harbour",
    "tags": ["genre:sport"],
    "storyboard": {"global_caption": "A harbour.", "fps": 15, "shots": ["The quay.", "A gull."], "num_frames": 17},
}


def write(path: Path, *lines: dict | str) -> Path:
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return path


@pytest.fixture(scope="module")
def puppet() -> Suite:
    return load_suite("puppet")


@pytest.fixture(scope="module")
def cinema() -> Suite:
    return load_suite("cinema")


def test_a_suite_of_ones_own_loads_by_path_without_hashes(tmp_path: Path) -> None:
    suite = load_suite(write(tmp_path / "mine.jsonl", HEADER, "", LINE))
    assert (suite.name, suite.fps, suite.size, len(suite)) == ("mine", 15.0, (832, 480), 1)
    assert suite["harbour"].storyboard.cuts == (9,)
    assert suite["harbour"].values("genre") == ("sport",)
    assert suite == load_suite(str(tmp_path / "mine.jsonl"))


def test_the_hash_follows_the_content_and_not_how_it_was_written(tmp_path: Path) -> None:
    first = load_suite(write(tmp_path / "a.jsonl", HEADER, LINE))
    reordered = {key: LINE[key] for key in reversed(LINE)}
    lengths = {
        **LINE["storyboard"],
        "shots": [{"caption": "The quay.", "num_frames": 9}, {"caption": "A gull.", "num_frames": 8}],
    }
    for line in (reordered, {**LINE, "storyboard": lengths}):
        assert load_suite(write(tmp_path / "b.jsonl", HEADER, line)).sha256 == first.sha256
    for line in ({**LINE, "tags": []}, {**LINE, "storyboard": {**LINE["storyboard"], "cuts": [5]}}):
        assert load_suite(write(tmp_path / "b.jsonl", HEADER, line)).sha256 != first.sha256
    assert load_suite(write(tmp_path / "b.jsonl", {**HEADER, "version": 2}, LINE)).sha256 != first.sha256


def test_a_written_suite_reads_back_equal_and_an_edit_is_noticed_until_it_is_signed(tmp_path: Path, capsys) -> None:
    path = tmp_path / "mine.jsonl"
    suite = load_suite(write(path, HEADER, LINE))
    write_suite(path, suite)
    assert load_suite(path) == suite
    path.write_text(path.read_text().replace("A gull.", "A heron."))
    with pytest.raises(SuiteError, match=r"mine\.jsonl, line 2: harbour: .* so it was edited; .*suites sign"):
        load_suite(path)
    assert main(["sign", str(path)]) == 0
    assert load_suite(path)["harbour"].storyboard.captions[1] == "A heron."
    assert main(["check", str(path)]) == 0
    assert "mine 1: 1 storyboard of 17 frames" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ((), r"is empty; its first line says what the suite is"),
        ((HEADER,), r"has no storyboards"),
        ((LINE,), r"line 1: the first line of a suite says what it is, for example \{"),
        (({**HEADER, "size": [832]}, LINE), r"line 1: size is \[832\], but has to be \[width, height\]"),
        (({**HEADER, "fps": True}, LINE), r"line 1: fps is true"),
        (({**HEADER, "num_frames": 17}, LINE), r"line 1: num_frames is 17, but has to list"),
        (({**HEADER, "version": 0}, LINE), r"line 1: version is 0"),
        (
            (HEADER, "{nonsense"),
            r"line 2: JSON error in column 2: a key in double quotes is expected, where nonsense st",
        ),
        (
            (HEADER, '{"id": "a" "b": 1}'),
            r"line 2: .* column 12: a comma is expected, or the end .*, where \"b\": 1} st",
        ),
        ((HEADER, '{"id": '), r"line 2: JSON error in column 8: a value is expected .*, where the text ends"),
        ((HEADER, "[1]"), r"line 2: a line of a suite is a JSON object, not \[1\]"),
        ((HEADER, LINE, "", LINE), r"line 4: the id 'harbour' is already that of line 2"),
        ((HEADER, LINE, {**LINE, "id": "HARBOUR"}), r"line 3: the id 'HARBOUR' is already that of line 2"),
        ((HEADER, {**LINE, "id": "../up"}), r'line 2: id is "\.\./up", but an id is'),
        ((HEADER, {**LINE, "tags": ["western"]}), r'line 2: harbour: "western" is no tag; a tag reads kind:value'),
        ((HEADER, {**LINE, "tag": []}), r'line 2: unknown key "tag"; the keys of this line are id, tags'),
        ((HEADER, {"id": "x"}), r"line 2: storyboard is missing"),
        ((HEADER, {**LINE, "storyboard": {"global_caption": "x", "shots": []}}), r"line 2: harbour: shots is empty"),
        (
            (HEADER, {**LINE, "storyboard": {**LINE["storyboard"], "fps": 24}}),
            r"line 2: harbour: is at 24 fps, but .* 15",
        ),
        (
            (HEADER, {**LINE, "storyboard": {**LINE["storyboard"], "num_frames": 21}}),
            r"line 2: harbour: has 21 frames, but the suite is meant for 17",
        ),
        ((HEADER, {**LINE, "scene": {"puppets": []}}), r"line 2: harbour: scene is no scene of the puppet world"),
    ],
)
def test_what_is_wrong_is_said_with_file_and_line(tmp_path: Path, lines: tuple, message: str) -> None:
    with pytest.raises(SuiteError, match=r"mine\.jsonl.*" + message):
        load_suite(write(tmp_path / "mine.jsonl", *lines))


def test_an_unknown_suite_and_an_unknown_storyboard_are_answered_with_what_there_is(
    tmp_path: Path, puppet, capsys
) -> None:
    with pytest.raises(
        SuiteError, match=r"there is no suite 'pupet' \(did you mean puppet\?\); there are cinema, puppet"
    ):
        load_suite("pupet")
    with pytest.raises(SuiteError, match=r"gone\.jsonl: cannot be read: No such file"):
        load_suite(tmp_path / "gone.jsonl")
    with pytest.raises(SuiteError, match=r"suite puppet has no storyboard 'puppet-0001'; among its 100 are puppet-001"):
        puppet["puppet-0001"]
    (tmp_path / "latin.jsonl").write_bytes(b"\xe9")
    with pytest.raises(SuiteError, match=r"latin\.jsonl: is not UTF-8 text \(byte 0\)"):
        load_suite(tmp_path / "latin.jsonl")
    assert main(["check", "pupet"]) == 2
    assert "there is no suite 'pupet'" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["puppet", "cinema"])
def test_every_line_of_our_suites_is_signed_without_warnings_and_in_frames_that_are_4t_1(name: str) -> None:
    suite = load_suite(name)
    lines = [json.loads(line) for line in suite_path(name).read_text().splitlines()[1:]]
    assert len(suite) == 100 and [line["sha256"] for line in lines] == [entry.sha256 for entry in suite.entries]
    for entry, line in zip(suite.entries, lines, strict=True):
        assert entry.storyboard.as_run().warnings == (), entry.id
        assert line["storyboard"]["shots"] == [shot.model_dump(exclude_none=True) for shot in entry.storyboard.shots]
    assert set(suite.num_frames) == {entry.storyboard.num_frames for entry in suite.entries}


@pytest.mark.parametrize("name", ["puppet", "cinema"])
def test_tags_that_count_are_true(name: str) -> None:
    for entry in load_suite(name).entries:
        board = entry.storyboard
        assert entry.values("shots") == (str(board.num_shots),), entry.id
        assert entry.values("characters") == (str(len(character_tags(board.global_caption))),), entry.id
        assert set(entry.values("characters-per-shot")) == set(map(str, entry.characters_per_shot)), entry.id
        shown = [set(character_tags(caption)) for caption in board.captions]
        assert ("permanence" in entry.values("probe")) == any(a & b for a, b in combinations(shown, 2)), entry.id
        returns = any(
            later > earlier + 1
            for tag in set().union(*shown)
            for earlier, later in pairwise([i for i, tags in enumerate(shown) if tag in tags])
        )
        assert ("return" in entry.values("probe")) == returns, entry.id


# The suite of the puppet world


def test_the_puppet_suite_is_built_again_exactly(puppet: Suite, tmp_path: Path) -> None:
    assert build_puppet_suite() == puppet
    write_suite(tmp_path / "again.jsonl", puppet)
    assert (tmp_path / "again.jsonl").read_bytes() == suite_path("puppet").read_bytes()


def test_its_seeds_are_those_of_no_training_and_no_measurement() -> None:
    seeds = range(FIRST_SEED, FIRST_SEED + 100)
    assert seeds.stop <= TRAINING_SEED
    for measured in (700_000, 710_000, 800_000):
        assert not set(seeds) & set(range(measured, measured + 1000))


def test_each_storyboard_is_its_scene_in_words_and_its_truth_can_be_rendered(puppet: Suite) -> None:
    for entry in puppet.entries:
        assert to_storyboard(entry.scene, title=entry.storyboard.title) == entry.storyboard
    scene = puppet.entries[0].scene
    frames, truth = render(scene, only={0, scene.num_frames - 1})
    assert frames.shape == (2, puppet.size[1], puppet.size[0], 3)
    assert truth[-1].shot == len(scene.shots) - 1


def test_scenes_keep_the_rules_of_the_world(puppet: Suite) -> None:
    for entry in puppet.entries:
        scene = entry.scene
        assert all(shot.num_frames >= MIN_SHOT_FRAMES for shot in scene.shots)
        assert all(a.colour != b.colour and a.scarf != b.scarf for a, b in combinations(scene.puppets, 2))
        for before, after in pairwise(scene.shots):
            assert before.stretch != after.stretch
            assert (before.framing, before.size, before.who) != (after.framing, after.size, after.who)
            assert not before.size == after.size == "wide"


def test_it_covers_what_it_is_for(puppet: Suite) -> None:
    shots = [shot for entry in puppet.entries for shot in entry.scene.shots]
    dealt = Counter((shot.size, shot.action, shot.camera) for shot in shots)
    assert len(dealt) == len(SIZES) * len(ACTIONS) * len(CAMERAS) and max(dealt.values()) <= min(dealt.values()) + 2
    assert {len(entry.scene.shots) for entry in puppet.entries} == {2, 3, 4, 5, 6}
    assert {entry.scene.setting for entry in puppet.entries} == set(SETTINGS)
    tags = Counter(tag for entry in puppet.entries for tag in entry.tags)
    least = {"return:A-B-A": 20, "return:A-B-C-A": 20, "probe:swap": 20, "probe:causal-state": 20}
    assert all(tags[tag] >= number for tag, number in least.items())
    for entry in puppet.entries:
        if "swap" in entry.values("probe"):
            assert easily_swapped(*entry.scene.puppets)
        if "causal-state" in entry.values("probe"):
            assert entry.scene.lanterns and not entry.scene.shots[-1].lanterns_light_up


# The suite for large models


def test_cinema_is_as_diverse_as_it_says(cinema: Suite) -> None:
    tags = Counter(tag for entry in cinema.entries for tag in entry.tags)
    assert sum(tag.startswith("genre:") for tag in tags) >= 12
    shots = {entry.storyboard.num_shots for entry in cinema.entries}
    assert shots == set(range(2, 14))
    assert {entry.values("characters")[0] for entry in cinema.entries} == set("01234")
    for tag in ("place:indoor", "place:outdoor", "subject:animals", "subject:crowd", "subject:no-people"):
        assert tags[tag] >= 10, tag
    probes = (
        "permanence", "return", "background", "shot-scale", "camera-angle", "camera-movement", "causal-state",
        "dialogue", "match-cut",
    )  # fmt: skip
    assert all(tags[f"probe:{probe}"] >= 15 for probe in probes)
    assert sum(entry.storyboard.num_frames == 241 for entry in cinema.entries) >= 60
    for entry in cinema.entries:
        assert len(entry.values("genre")) == 1 and entry.values("place") and entry.values("probe"), entry.id


def test_most_shots_of_cinema_are_uneven(cinema: Suite) -> None:
    even = [
        max(s.num_frames for s in e.storyboard.shots) - min(s.num_frames for s in e.storyboard.shots) <= 5
        for e in cinema.entries
    ]
    assert sum(even) <= 20
    assert min(shot.num_frames for entry in cinema.entries for shot in entry.storyboard.shots) >= 16


def test_every_character_of_cinema_is_introduced_once_described_and_used(cinema: Suite) -> None:
    for entry in cinema.entries:
        text, captions = entry.storyboard.global_caption, " ".join(entry.storyboard.captions)
        for tag in character_tags(text):
            assert text.count(tag) == 1 and tag in captions, (entry.id, tag)
            assert len(character_descriptions(text).get(tag, "")) > 15, (entry.id, tag)
        assert set(character_tags(captions)) <= set(character_tags(text)), entry.id


def test_the_prompts_of_cinema_fit_the_text_encoder_even_at_three_characters_a_token(cinema: Suite) -> None:
    """Tokenizers give these prompts at least 3.37 characters a token, as benchmarks/suites/README.md has it."""
    for entry in cinema.entries:
        assert len(entry.storyboard.prompt) / 3 + 1 <= 512, entry.id


def test_no_two_prompts_of_cinema_are_near_duplicates(cinema: Suite) -> None:
    """Cosine of TF-IDF over words: 0.3 at most, where one prompt with every fifth word replaced is above 0.7."""
    similarity = similarities([entry.storyboard.prompt for entry in cinema.entries])
    worst = np.unravel_index(np.argmax(np.triu(similarity, 1)), similarity.shape)
    assert similarity[worst] < 0.3, [cinema.ids[i] for i in worst]
    words = cinema.entries[0].storyboard.prompt.split()
    changed = " ".join("other" if i % 5 == 0 else word for i, word in enumerate(words))
    others = [entry.storyboard.prompt for entry in cinema.entries[1:]]
    assert similarities([" ".join(words), changed, *others])[0, 1] > 0.7


def similarities(texts: list[str]) -> np.ndarray:
    counts = [Counter(re.findall(r"[a-z]+|\[character\d\]", text.lower())) for text in texts]
    vocabulary = {word: i for i, word in enumerate(sorted(set().union(*counts)))}
    matrix = np.zeros((len(texts), len(vocabulary)))
    for row, words in zip(matrix, counts, strict=True):
        for word, count in words.items():
            row[vocabulary[word]] = 1 + np.log(count)
    matrix *= np.log(len(texts) / (matrix > 0).sum(0))
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    return matrix @ matrix.T


def test_all_bad_lines_of_a_suite_are_told_and_of_many_the_first_ten(tmp_path):
    path = tmp_path / "mine.jsonl"
    bad = [json.dumps({**LINE, "id": f"n{n}", "tags": ["western"]}) for n in range(12)]
    path.write_text("\n".join([json.dumps(HEADER), *bad[:1], json.dumps(LINE), *bad[1:2]]))
    with pytest.raises(SuiteError, match=r"line 2: n0: .*\n.*line 4: n1: ") as two:
        load_suite(path)
    assert "more" not in str(two.value)
    path.write_text("\n".join([json.dumps(HEADER), *bad]))
    with pytest.raises(SuiteError, match=r"line 11: n9.*\nand 2 more lines like these$") as many:
        load_suite(path)
    assert "n10" not in str(many.value)
