"""Small files in the shapes of other benchmarks' scripts, made up for these tests."""

import json

import pytest

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
    assert to_storyboard(script, 16, 5).captions[0] == "远景. [character1]坐在树旁. 森林."


def test_msvbench_names_characters_by_number_and_places_by_scene(write):
    [script] = read_scripts("msvbench", write(MSVBENCH, "07.json"))
    board = to_storyboard(script, fps=16, seconds=5)
    assert board.captions == (
        "Close-Up, Eye Level Shot. [character1] kneads dough. A small kitchen.",
        "Bread in an oven. A small kitchen.",
    )
    assert board.global_caption == "[character1]: a tall baker in white."
    assert [prompt.name for prompt in script.prompts] == ["01", "02"]


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
        ("entitybench", ST_BENCH, "is no script of entitybench: 'entity_schedule' is missing"),
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
    scripts = read_scripts("st-bench", write({**ST_BENCH, "scenes": []}))
    with pytest.raises(SuiteError, match="a: shots is empty"):
        to_suite("st-bench", scripts, "s")
