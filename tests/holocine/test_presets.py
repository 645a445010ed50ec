"""Presets: which settings they make, what wins, and that a fast video is what its options say."""

import pytest

from holocine import checkpoints, load_pipeline
from holocine.__main__ import COMMANDS
from holocine.command_line import parser
from holocine.lora import PUBLISHED, linear_sizes
from holocine.presets import MEMORY, PRESETS, SPEED, environment_presets, find_presets, listed, preset_settings
from holocine.settings import CALL_SETTINGS, LOAD_SETTINGS, chosen
from holocine.video import read_settings
from tests.holocine.test_lora import deltas, lightx2v_file


def options_of(*words):
    """The options that a command line gives, as `generate` sees them."""
    found = parser(COMMANDS).parse_args(["generate", "board.yaml", "-o", "out.mp4", *words])
    return {name: value for name, value in vars(found).items() if value is not None}


def settings_of(*words, remembered=None):
    return {name: value for name, value in chosen(options_of(*words), remembered or {}).items() if value is not None}


def test_fast_is_four_plain_steps_of_a_distilled_pair_without_guidance_in_float8():
    settings = settings_of("--preset", "fast")
    high, low = settings.pop("distilled").split(",")
    assert high.endswith("/high_noise_model.safetensors") and low.endswith("/low_noise_model.safetensors")
    assert all(any(file.startswith(f"{folder}/") for folder in PUBLISHED) for file in (high, low))
    none = {"guidance_scale": 1.0, "shot_guidance": 1.0}
    assert settings == {**none, "num_inference_steps": 4, "shift": 5.0, "layerwise_casting": True}


def test_mixed_takes_eight_steps_of_which_two_are_guided_and_undistilled(model_folder):
    settings = settings_of("--preset", "mixed")
    assert settings["num_inference_steps"] == 8 and "guidance_scale" not in settings
    facts = checkpoints.describe(model_folder)
    assert facts.guided_steps(8, facts.guidance, settings["distilled_below"]) == 2
    assert facts.guided_steps(8, facts.guidance) == 8


def test_every_setting_of_a_preset_is_one_of_a_call_or_of_loading():
    for preset in PRESETS.values():
        assert set(preset.settings) <= set(preset.governed)
    assert set(SPEED) | set(MEMORY) <= {*CALL_SETTINGS, *LOAD_SETTINGS}


def test_options_that_are_given_win_over_a_preset():
    given = settings_of("--preset", "fast", "--steps", "6", "--distilled", "a,b", "--guidance", "2", "--shift", "8")
    assert (given["num_inference_steps"], given["guidance_scale"], given["shift"]) == (6, 2, 8)
    assert given["distilled"] == "a,b"
    assert "layerwise_casting" not in settings_of("--preset", "fast", "--int8")
    assert settings_of("--preset", "12GB", "--model-cpu-offload").keys() == {
        "layerwise_casting", "vae_tiling", "drop_text_encoder", "model_cpu_offload",
    }  # fmt: skip
    assert "distilled_below" not in settings_of("--preset", "mixed", "--guidance", "1")


def test_a_preset_takes_the_place_of_what_a_video_remembers():
    fast = settings_of("--preset", "fast")
    assert settings_of(remembered=fast) == fast
    assert settings_of("--preset", "quality", remembered={**fast, "kernel": "flex"}) == {"kernel": "flex"}
    assert settings_of("--preset", "mixed", remembered={"shot_guidance": 2.0}).get("shot_guidance") is None
    assert settings_of("--preset", "80GB", remembered={"num_inference_steps": 7}) == {
        "num_inference_steps": 7, "drop_text_encoder": True,
    }  # fmt: skip


@pytest.mark.parametrize("words", [("fast,24GB",), ("24gb", "FAST"), ("fast , 24GB",)])
def test_a_preset_of_each_kind_may_be_given_in_either_way(words):
    presets = find_presets(words)
    assert {preset.name for preset in presets} == {"fast", "24GB"}
    settings = preset_settings(presets)
    assert settings["group_offload"] and settings["layerwise_casting"] and settings["num_inference_steps"] == 4
    assert settings["model_cpu_offload"] is None


def test_unknown_and_contradicting_presets_are_refused():
    with pytest.raises(ValueError, match="the preset 'quick' is unknown; choose from fast, mixed, quality, 12GB, 16GB"):
        find_presets("quick")
    with pytest.raises(ValueError, match="the presets fast and quality exclude each other: choose one"):
        find_presets(["fast", "quality"])


def test_the_environment_names_presets_for_a_desk(monkeypatch):
    monkeypatch.delenv("HOLOCINE_PRESET", raising=False)
    assert environment_presets() == ()
    monkeypatch.setenv("HOLOCINE_PRESET", "fast, 80GB")
    assert [preset.name for preset in environment_presets()] == ["fast", "80GB"]
    monkeypatch.setenv("HOLOCINE_PRESET", "rapid")
    with pytest.raises(ValueError, match="HOLOCINE_PRESET: the preset 'rapid' is unknown"):
        environment_presets()


def test_help_has_the_table(capsys):
    with pytest.raises(SystemExit):
        options_of("--help")
    shown = capsys.readouterr().out
    assert all(preset.name in shown and preset.text in shown for preset in PRESETS.values()) and listed() in shown


def test_a_fast_video_is_made_on_the_command_line_and_made_again_from_itself(work, run, model_folder):
    """The whole preset, with a pair for the tiny model in place of the published one."""
    experts = load_pipeline(model_folder).experts
    for name, expert in zip(("high", "low"), experts, strict=True):
        lightx2v_file(work / f"{name}.safetensors", deltas(linear_sizes(expert), len(name)))
    (work / "board.yaml").write_text(
        "global_caption: A painter.\nseed: 5\nshots:\n"
        "  - {caption: Medium shot., num_frames: 5}\n  - {caption: Close-up., num_frames: 8}\n"
    )
    pair = "high.safetensors,low.safetensors"
    words = ("--model", model_folder, "--preset", "fast", "--distilled", pair, "--size", "native", "--quiet")
    code, _, err = run("generate", "board.yaml", "-o", "a.mp4", *words)
    assert code == 0, err
    made = read_settings("a.mp4")
    assert (made["num_inference_steps"], made["guidance_scale"], made["shift"]) == (4, 1.0, 5.0)
    assert made["distilled"] == pair and made["layerwise_casting"]
    assert run("generate", "a.mp4", "-o", "b.mp4", "--quiet")[0] == 0
    assert (work / "a.mp4").read_bytes() == (work / "b.mp4").read_bytes()
    assert run("generate", "a.mp4", "-o", "c.mp4", "--quiet", "--preset", "mixed", "--distilled", pair)[0] == 0
    assert read_settings("c.mp4")["distilled_below"] == 0.95 and read_settings("c.mp4")["num_inference_steps"] == 8


def test_fast_with_a_model_that_has_no_published_pair_says_so_before_anything_is_fetched(work, run, model_folder):
    (work / "board.yaml").write_text("global_caption: A painter.\nshots: [{caption: One., num_frames: 5}]\n")
    code, _, err = run("generate", "board.yaml", "-o", "a.mp4", "--model", model_folder, "--preset", "fast")
    assert code == 2 and "give files made for it, as --distilled HIGH,LOW" in err
