"""Small files in the shapes of other benchmarks' scripts, made up for these tests."""

import json

import hypothesis
import hypothesis.strategies as st
import pytest
from hypothesis import given

from benchmarks.suites.__main__ import main
from benchmarks.suites.interchange import read_scripts, to_storyboard, to_suite
from benchmarks.suites.suite import SuiteError, load_suite
from holocine.prompt import character_descriptions
from holocine.wording import describe_texts

ST_BENCH = {
    "story_name": "The lamp",
    "story_overview": "A keeper mends the lamp of a lighthouse.",
    "scenes": [
        {
            "scene_num": 1,
            "video_prompts": ["Wide shot of the tower", "The camera nears the door."],
            "cut": [True, False],
        },
        {"scene_num": 2, "video_prompts": ["Close-up of a hand on the lamp."], "cut": ["True"]},
    ],
}
ENTITYBENCH = {
    "story_name": "x",
    "story_overview": "Ana looks for Ana-Maria on the pier.",
    "scenes": [
        {
            "scene_num": 1,
            "video_prompts": ["Ana: …\n\nAna waits.", "Rain falls."],
            "action_descriptions": ["Ana waits for Ana-Maria at The Pier.", "Rain falls."],
            "cut": [True, True],
        }
    ],
    "entity_schedule": {
        "1:1": {"characters": ["Ana", "Ana-Maria"], "places": ["The Pier"], "objects": ["the rope"]},
        "1:2": {"characters": ["Ana"], "places": ["The Pier"], "objects": []},
    },
    "entity_descriptions": {
        "Character 1": {"name": "Ana", "label": "Character 1", "description": "Woman in a red coat"},
        "Character 2": {"name": "Ana-Maria", "label": "Character 2", "description": "Old woman with a cane."},
        "Location 1": {"name": "The Pier", "label": "Location 1", "description": "Wooden pier at dusk."},
    },
}
VISTORYBENCH = {
    "Characters": {
        "Fox": {
            "name_en": "Fox",
            "name_ch": "狐狸",
            "prompt_en": "A red fox",
            "prompt_ch": "一只红色的狐狸",
            "tag": "non_human",
        }
    },
    "Shots": [
        {
            "index": 1,
            "Setting Description": {"en": "A forest", "ch": "森林"},
            "Plot Correspondence": {"en": "It begins.", "ch": "开始。"},
            "Characters Appearing": {"en": ["Fox"], "ch": ["狐狸"]},
            "Static Shot Description": {"en": "Fox sits by a tree", "ch": "狐狸坐在树旁"},
            "Shot Perspective Design": {"en": "Wide shot", "ch": "远景"},
        },
        {
            "index": 2,
            "Setting Description": {"en": "A river", "ch": "河"},
            "Plot Correspondence": {"en": "It ends.", "ch": "结束。"},
            "Characters Appearing": {"en": [], "ch": []},
            "Static Shot Description": {"en": "Water", "ch": "水"},
            "Shot Perspective Design": {"en": "Close-up", "ch": "特写"},
        },
    ],
}
MSVBENCH = {
    "characters": [{"id": 1, "name": "Ivo", "short": "a tall baker", "description": "a tall baker in white"}],
    "environments": [{"id": "k", "name": "Kitchen", "description": "A small kitchen"}],
    "script": [
        {
            "scene": 1,
            "environment": "k",
            "clips": [
                {
                    "id": 1,
                    "characters": ["1"],
                    "description": "Ivo kneads dough",
                    "shot_distance": "Close-Up",
                    "camera_angle": "Eye Level Shot",
                },
                {"id": 2, "characters": [], "description": "Bread in an oven."},
            ],
        }
    ],
}


@pytest.fixture
def write(tmp_path):
    def write(content, name="a.json"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content), encoding="utf-8")
        return path

    return write


def test_a_prompt_of_st_bench_without_a_cut_continues_the_shot_before_it(write):
    [script] = read_scripts("st-bench", write(ST_BENCH))
    board = to_storyboard(script, fps=16, seconds=5)
    assert board.captions == (
        "Wide shot of the tower. The camera nears the door.",
        "Close-up of a hand on the lamp.",
    )
    assert board.shot_seconds == (10, 5) and board.cuts == (160,)
    assert (board.title, board.global_caption) == ("The lamp", "A keeper mends the lamp of a lighthouse.")
    assert [prompt.name for prompt in script.prompts] == ["001_001", "001_002", "002_001"]


def test_entities_of_entitybench_become_characters_and_places(write):
    [script] = read_scripts("entitybench", write(ENTITYBENCH))
    board = to_storyboard(script, fps=16, seconds=5)
    assert board.captions == (
        "[character1] waits for [character2] at The Pier.",
        "Rain falls. With [character1].",
    )
    assert character_descriptions(board.global_caption) == {
        "[character1]": "Woman in a red coat",
        "[character2]": "Old woman with a cane",
    }
    assert board.global_caption.endswith(
        "The Pier: Wooden pier at dusk. [character1] looks for [character2] on the pier."
    )
    assert "red coat" in describe_texts(board).shots[0]
    assert not board.warnings


def test_vistorybench_is_read_in_either_language(write, tmp_path):
    write(VISTORYBENCH, "01/story.json")
    [script] = read_scripts("vistorybench", tmp_path)
    board = to_storyboard(script, fps=16, seconds=5)
    assert script.id == "01"
    assert board.captions == ("Wide shot. [character1] sits by a tree. A forest.", "Close-up. Water. A river.")
    assert board.global_caption == "[character1]: A red fox."
    [script] = read_scripts("vistorybench", tmp_path, language="ch")
    assert to_storyboard(script, 16, 5).captions[0] == "远景。 [character1]坐在树旁。 森林。"


def test_msvbench_names_characters_by_number_and_places_by_scene(write):
    [script] = read_scripts("msvbench", write(MSVBENCH, "07.json"))
    board = to_storyboard(script, fps=16, seconds=5)
    assert board.captions == (
        "Close-Up, Eye Level Shot. [character1] kneads dough. A small kitchen.",
        "Bread in an oven. A small kitchen.",
    )
    assert board.global_caption == "[character1]: a tall baker in white."
    assert [prompt.name for prompt in script.prompts] == ["01", "02"]


def test_msvbench_scenes_and_clips_and_files_come_in_the_order_of_their_numbers(write):
    script = MSVBENCH["script"][0]
    scenes = [{**script, "scene": f"scene_{n}", "clips": script["clips"][::-1]} for n in (10, 2)]
    scenes[0]["clips"] = [{"id": 3, "description": "The end."}]
    file = write({**MSVBENCH, "script": scenes}, "10.json")
    write(MSVBENCH, "2.json")
    first, second = read_scripts("msvbench", file.parent)
    assert (first.id, second.id) == ("2", "10")
    assert [p.text.split(". ")[0] for p in second.prompts] == [
        "Close-Up, Eye Level Shot",
        "Bread in an oven",
        "The end",
    ]


def captions_of(content, write, format="entitybench"):
    [script] = read_scripts(format, write(content))
    return to_storyboard(script, fps=16, seconds=5).captions


@pytest.mark.parametrize(
    ("said", "caption"),
    [
        ("Ana waits for Ana-Maria.", "[character1] waits for Ana-Maria."),
        ("Ana’s hat, Ana's coat: Ana'll go.", "[character1]’s hat, [character1]'s coat: [character1]'ll go."),
        ("O'Ana, D’Ana, Ana-Lou and Ana'el are not 'Ana'.", "O'Ana, D’Ana, Ana-Lou and Ana'el are not '[character1]'."),
        ("At Ana's House Ana waits.", "At Ana's House [character1] waits."),
        ("Ana character1 Ana", "[character1] character1 [character1]"),
    ],
)
def test_a_name_is_replaced_as_a_whole_and_every_described_name_counts(write, said, caption):
    content = changed(ENTITYBENCH, ["entity_schedule", "1:1", "characters"], ["Ana"])
    content["entity_descriptions"]["Location 1"]["name"] = "Ana's House"
    assert captions_of(changed(content, ["scenes", 0, "action_descriptions", 0], said), write)[0] == caption


def test_a_latin_name_is_found_among_signs_and_no_accent_ends_one(write):
    shot = VISTORYBENCH["Shots"][0] | {"Static Shot Description": {"en": "Foxé sees Zoé坐在Fox旁"}}
    content = {"Characters": {"Fox": {"prompt_en": "A fox"}, "Zoé": {"prompt_en": "A girl"}}, "Shots": [shot]}
    assert "Foxé sees [character2]坐在[character1]旁" in captions_of(content, write, "vistorybench")[0]


def test_shots_and_scenes_come_in_the_order_of_their_numbers(write):
    assert captions_of({**VISTORYBENCH, "Shots": VISTORYBENCH["Shots"][::-1]}, write, "vistorybench") == (
        captions_of(VISTORYBENCH, write, "vistorybench")
    )
    turned = {**ST_BENCH, "scenes": ST_BENCH["scenes"][::-1]}
    assert captions_of(turned, write, "st-bench") == captions_of(ST_BENCH, write, "st-bench")


@pytest.mark.parametrize(
    ("format", "place", "value", "says"),
    [
        ("st-bench", ["story_overview"], "", "nothing is said of the whole: its global caption is 'A story in 2 sh"),
        ("st-bench", ["scenes", 1, "scene_num"], 4, "scene_num 4 follows 1: what was between them is missing"),
        ("vistorybench", ["Shots", 1, "index"], 3, "index 3 follows 1: what was between them is missing"),
        ("vistorybench", ["Shots", 1, "Characters Appearing", "en"], ["Wolf"], "Wolf is not described: the global"),
        ("vistorybench", ["Characters", "Fox", "name_en"], ..., "Characters.Fox has no name_en: it is called Fox"),
        ("entitybench", ["entity_schedule", "1:2"], ..., "entity_schedule has no 1:2: who is to be seen there is not"),
        ("entitybench", ["entity_schedule", "9:1"], {}, "there is no prompt for 9:1 of entity_schedule"),
        ("entitybench", ["entity_schedule", "1:1", "characters"], ["Ana"], "Ana-Maria of entity_descriptions is in no"),
        ("entitybench", ["entity_descriptions", "Location 1"], ..., "The Pier of entity_schedule has no description"),
        ("entitybench", ["entity_descriptions", "Character 1", "description"], " ", "Ana is not described: the gl"),
        ("msvbench", ["characters", 0], {"id": 1, "name": "Ivo"}, "Ivo is not described: the global caption has"),
        ("st-bench", ["scenes", 0, "scene_num"], 3, "scenes are listed as scene_num 3, 2: they are taken in its order"),
        ("st-bench", ["scenes", 1], {"scene_num": 2, "video_prompts": [], "cut": []}, "scenes[1] has nothing in video"),
        ("vistorybench", ["Shots", 0, "index"], 3, "Shots are listed as index 3, 2: they are taken in its order"),
    ],
)
def test_what_a_script_leaves_open_is_told(write, tmp_path, capsys, format, place, value, says):
    command = ["import", format, "-o", str(tmp_path / "s.jsonl"), "--force"]
    assert main([*command, str(write(SCRIPTS[format]))]) == 0
    assert "  a: " not in capsys.readouterr().out
    assert main([*command, str(write(changed(SCRIPTS[format], place, value)))]) == 0
    assert f"  a: {says}" in capsys.readouterr().out


def test_a_suite_that_exists_is_replaced_with_force_alone(write, tmp_path, capsys):
    command = ["import", "st-bench", str(write(ST_BENCH)), "-o", str(tmp_path / "s.jsonl")]
    assert main(command) == 0
    assert "  1 script of st-bench, 5 s a prompt" in capsys.readouterr().out
    before = (tmp_path / "s.jsonl").read_bytes()
    assert main([*command, "--fps", "24"]) == 2
    assert "s.jsonl exists: name another suite, or add --force to replace it" in capsys.readouterr().err
    assert (tmp_path / "s.jsonl").read_bytes() == before
    assert main([*command, "--fps", "24", "--force"]) == 0 and load_suite(tmp_path / "s.jsonl").fps == 24


def test_scripts_become_a_suite_that_can_be_run(write, tmp_path, capsys):
    write(ENTITYBENCH, "scripts/one.json")
    write({**ENTITYBENCH, "scenes": [{**ENTITYBENCH["scenes"][0], "cut": [True, False]}]}, "scripts/two.json")
    out = tmp_path / "entities.jsonl"
    assert main(["import", "entitybench", str(tmp_path / "scripts"), "-o", str(out), "--seconds", "4"]) == 0
    suite = load_suite(out)
    assert suite.ids == ("one", "two") and suite.fps == 16 and suite.num_frames == (128,)
    assert suite["one"].tags == ("benchmark:entitybench", "shots:2", "characters:2")
    assert suite["two"].storyboard.num_shots == 1
    assert "entities 1: 2 storyboards" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("format", "content", "says"),
    [
        ("st-bench", {"scenes": []}, "is no script of st-bench: 'story_overview' is missing"),
        ("entitybench", ST_BENCH, "is no script of entitybench: with 'scenes' it looks like one of st-bench; name"),
        ("st-bench", ENTITYBENCH, "is no script of st-bench: with 'entity_schedule' it looks like one of entitybench"),
        ("msvbench", VISTORYBENCH, "is no script of msvbench: with 'Shots' it looks like one of vistorybench"),
        ("entitybench", {"entity_descriptions": {}}, "is no script of entitybench: 'entity_schedule' is missing"),
        ("vistorybench", {"Shots": [{}]}, "is no script of vistorybench: 'Shot Perspective Design' is missing"),
        ("msvbench", [], "is no script of msvbench"),
    ],
)
def test_what_is_no_script_is_said_with_its_file(write, format, content, says):
    with pytest.raises(SuiteError, match=f"a.json: {says}"):
        read_scripts(format, write(content))


def test_an_unknown_format_an_empty_folder_and_an_empty_story_are_said(write, tmp_path):
    with pytest.raises(SuiteError, match="the format 'x' is unknown; choose one of st-bench, entitybench"):
        read_scripts("x", tmp_path)
    with pytest.raises(SuiteError, match="holds no script of vistorybench: it was looked for as"):
        read_scripts("vistorybench", tmp_path)
    (tmp_path / "data" / "script").mkdir(parents=True)
    (tmp_path / "data" / "script" / "01.json").write_text(json.dumps(MSVBENCH))
    (tmp_path / "data" / "about.json").write_text("{}")
    for above in (tmp_path / "data", tmp_path / "data" / "..", tmp_path):
        with pytest.raises(SuiteError, match="holds no script of msvbench: .*; name .*/data/script, which holds some$"):
            read_scripts("msvbench", above)
    with pytest.raises(SuiteError, match="nowhere does not exist: name a script of st-bench, or the folder"):
        read_scripts("st-bench", tmp_path / "nowhere")
    scripts = read_scripts("st-bench", write({**ST_BENCH, "scenes": []}))
    with pytest.raises(SuiteError, match="a.json: story a: shots is empty, as it has no prompts: add some"):
        to_suite("st-bench", scripts, "s")


# Scripts with mistakes

SCRIPTS = {"st-bench": ST_BENCH, "entitybench": ENTITYBENCH, "vistorybench": VISTORYBENCH, "msvbench": MSVBENCH}


def changed(content, place, value=...):
    """A copy with another value at a place (keys and indices), or without what is there."""
    content = json.loads(json.dumps(content))
    inner = content
    for key in place[:-1]:
        inner = inner[key]
    if value is ...:
        del inner[place[-1]]
    else:
        inner[place[-1]] = value
    return content


@pytest.mark.parametrize(
    ("format", "place", "value", "says"),
    [
        ("st-bench", ["story_overview"], 3, "story_overview of story a is 3; it has to be a text"),
        ("st-bench", ["scenes", 1, "cut"], ..., "'cut' is missing in scenes[1] of story a; add it"),
        (
            "st-bench",
            ["scenes", 0, "cut"],
            [True],
            "scenes[0] of story a has 2 in 'video_prompts' and 1 in 'cut'; give",
        ),
        ("st-bench", ["scenes", 0, "cut", 1], "no", 'scenes[0].cut[1] of story a is "no"; it has to be true or false'),
        (
            "st-bench",
            ["scenes", 1, "scene_num"],
            1,
            "scenes[1] of story a has scene_num 1, as scenes[0] has; give",
        ),
        ("st-bench", ["scenes", 1, "scene_num"], ..., "'scene_num' is missing in scenes[1] of story a; add it"),
        (
            "vistorybench",
            ["Shots", 1, "index"],
            1,
            "Shots[1] of story a has index 1, as Shots[0] has; give",
        ),
        ("vistorybench", ["Shots", 0, "Setting Description", "en"], ..., "'en' is missing in Shots[0].Setting Descr"),
        ("st-bench", ["scenes", 0, "scene_num"], "one", 'scene_num of story a is "one"; it has to be a whole number'),
        ("st-bench", ["scenes", 0, "video_prompts", 0], " ", "video_prompts[0] of story a is empty; say what"),
        ("entitybench", ["entity_schedule"], [], "entity_schedule of story a is []; it has to be an object"),
        ("entitybench", ["entity_schedule", "1:1", "characters"], "Ana", 'is "Ana"; it has to be a list'),
        (
            "entitybench",
            ["entity_descriptions", "Character 1", "name"],
            ...,
            "'name' is missing in entity_descriptions.",
        ),
        ("vistorybench", ["Shots", 0, "Setting Description"], "x", 'Setting Description of story a is "x"; it has'),
        ("vistorybench", ["Shots", 1, "Characters Appearing", "en"], ..., "'en' is missing in Shots[1].Characters App"),
        ("vistorybench", ["Characters"], [1], "Characters of story a is [1]; it has to be an object"),
        (
            "msvbench",
            ["script", 0, "environment"],
            "q",
            "script[0].environment of story a is 'q', which is not in 'envir",
        ),
        (
            "msvbench",
            ["script", 0, "clips", 0, "characters"],
            ["7"],
            "characters[0] of story a is '7', which is not in",
        ),
        ("msvbench", ["characters", 0, "id"], None, "'id' is null in characters[0] of story a; give it a value"),
        ("msvbench", ["characters", 0, "id"], ..., "'id' is missing in characters[0] of story a; add it"),
        ("msvbench", ["script", 0, "clips", 1, "description"], 5, "clips[1].description of story a is 5; it has to be"),
    ],
)
def test_a_mistake_in_a_script_is_one_sentence_with_file_story_key_value_and_remedy(
    write, tmp_path, capsys, format, place, value, says
):
    path = write(changed(SCRIPTS[format], place, value))
    assert main(["import", format, str(path), "-o", str(tmp_path / "s.jsonl")]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"benchmarks.suites: {path}: is no script of {format}: ") and says in said
    assert said.endswith(" take the file away\n") and said.count("\n") == 1
    assert not (tmp_path / "s.jsonl").exists()


def places(content, place=()):
    yield place
    items = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in items:
        yield from places(value, (*place, key))


ANYTHING = st.sampled_from(
    [..., None, True, 0, -1, 2.5, "", "x", "\ud800", "[shot cut]", [], [[]], {}, {"x": 1}, 10**30]
)


@pytest.mark.parametrize("format", SCRIPTS)
@given(data=st.data())
@hypothesis.settings(
    max_examples=60, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture], derandomize=True
)
def test_a_script_with_anything_anywhere_is_a_suite_or_one_sentence(tmp_path, format, capsys, data):
    place = data.draw(st.sampled_from([p for p in places(SCRIPTS[format]) if p]))
    (tmp_path / "a.json").write_text(json.dumps(changed(SCRIPTS[format], place, data.draw(ANYTHING))))
    code = main(["import", format, str(tmp_path / "a.json"), "-o", str(tmp_path / "s.jsonl"), "--force"])
    said = capsys.readouterr().err
    if code == 0:
        assert len(load_suite(tmp_path / "s.jsonl")) == 1 and not said
    else:
        assert code == 2 and said.startswith(f"benchmarks.suites: {tmp_path / 'a.json'}: ") and said.count("\n") == 1


@pytest.mark.parametrize("text", ["", "{", "not JSON", "[" * 100_000, "3", "null", '"x"', "[]", "{}"])
@pytest.mark.parametrize("format", SCRIPTS)
def test_a_file_of_anything_else_is_one_sentence(tmp_path, capsys, format, text):
    (tmp_path / "a.json").write_text(text)
    assert main(["import", format, str(tmp_path / "a.json"), "-o", str(tmp_path / "s.jsonl")]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"benchmarks.suites: {tmp_path / 'a.json'}: ") and said.count("\n") == 1


def test_a_file_whose_name_is_no_id_is_said(write, tmp_path, capsys):
    assert main(["import", "st-bench", str(write(ST_BENCH, "my story.json")), "-o", str(tmp_path / "s.jsonl")]) == 2
    assert "story my story: a story is called by its file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--fps", "-3"], "argument --fps: '-3' is not a rate from 1 to 240 frames a second"),
        (["--fps", "nan"], "argument --fps: 'nan' is not a rate"),
        (["--seconds", "0"], "argument --seconds: '0' is not a number of seconds above 0"),
        (["--seconds", "five"], "argument --seconds: 'five' is not a number of seconds"),
        (["--seconds", "0.01"], "--seconds 0.01 is less than a frame at --fps 16"),
        (["--language", "ch"], "--language ch is for vistorybench, scripts of st-bench are in one language: leave it"),
        (["--language", "de"], "argument --language: invalid choice: 'de'"),
        (["-o", "suite.json"], "argument -o/--out: 'suite.json' names no suite"),
        (["-o", "nowhere/suite.jsonl"], "nowhere/suite.jsonl: the folder for it does not exist, create it first"),
    ],
)
def test_a_mistake_in_an_option_names_the_option(write, tmp_path, capsys, options, says):
    assert main(["import", "st-bench", str(write(ST_BENCH)), "-o", str(tmp_path / "s.jsonl"), *options]) == 2
    said = capsys.readouterr().err
    assert says in said and said.count("\n") == 1


def test_things_of_one_name_or_id_are_told_or_refused_never_merged_in_silence(write):
    twice = json.loads(json.dumps(ENTITYBENCH))
    twice["entity_descriptions"]["Character 3"] = {"name": "Ana", "description": "A child."}
    twice["entity_descriptions"]["Object 1"] = {"name": "the rope", "description": "A rope of hemp."}
    (script,) = read_scripts("entitybench", write(twice))
    assert any("Character 3 is called Ana as entity_descriptions.Character 1 is" in note for note in script.notes)
    assert any("objects are told by their names alone" in note and "the rope" in note for note in script.notes)
    foxes = json.loads(json.dumps(VISTORYBENCH))
    foxes["Characters"]["Other"] = {**foxes["Characters"]["Fox"], "name_ch": "狼"}
    source = write(foxes)
    assert any("is called Fox as" in note for note in read_scripts("vistorybench", source)[0].notes)
    assert not any("is called" in note for note in read_scripts("vistorybench", source, "ch")[0].notes)
    people = json.loads(json.dumps(MSVBENCH))
    people["characters"].append({"id": 2, "name": "Ivo", "description": "a boy"})
    assert any("is called Ivo as" in note for note in read_scripts("msvbench", write(people))[0].notes)
    people["characters"][1] |= {"id": 1, "name": "Zed"}
    with pytest.raises(SuiteError, match=r"characters\[1\] of story .* has id 1, as characters\[0\] has"):
        read_scripts("msvbench", write(people))


def test_msvbench_scenes_and_empty_scenes_of_entitybench_that_are_taken_otherwise_are_told(write, tmp_path, capsys):
    first, *others = MSVBENCH["script"]
    later = {**first, "scene": "scene_9"}
    command = ["-o", str(tmp_path / "s.jsonl"), "--force"]
    swapped = {**MSVBENCH, "script": [later, {**first, "scene": "scene_1"}, *others]}
    assert main(["import", "msvbench", str(write(swapped)), *command]) == 0
    assert "script are listed as scene scene_9, scene_1" in capsys.readouterr().out
    hollow = {**MSVBENCH, "script": [first, {**first, "scene": "scene_9", "clips": []}]}
    assert main(["import", "msvbench", str(write(hollow)), *command]) == 0
    assert "script[1] has nothing in clips: it is left out" in capsys.readouterr().out
    empty = {"scene_num": 2, "video_prompts": [], "action_descriptions": [], "cut": []}
    scenes = {**ENTITYBENCH, "scenes": [*ENTITYBENCH["scenes"], empty]}
    assert main(["import", "entitybench", str(write(scenes)), *command]) == 0
    assert "scenes[1] has nothing in action_descriptions: it is left out" in capsys.readouterr().out
