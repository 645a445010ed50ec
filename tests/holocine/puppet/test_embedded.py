"""The embedded model as it is shipped: small, repeatable, and showing what the storyboard asks for."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from eval.theatre import generated, measure, measured_scenes
from holocine import HoloCinePipeline, load_pipeline
from holocine.finding import EMBEDDED
from holocine.puppet.captions import to_storyboard
from holocine.puppet.facts import LOOKS, shot_answers
from holocine.puppet.judge import WEIGHTS, load_judge, read_shots
from holocine.puppet.training.judge import check_judge
from holocine.puppet.world import Scene, sample_scene


@pytest.fixture(scope="module")
def pipeline() -> HoloCinePipeline:
    pipeline = load_pipeline()
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def files() -> list[Path]:
    return [path for path in (*EMBEDDED.rglob("*"), WEIGHTS) if path.is_file()]


def test_the_weights_are_small_files() -> None:
    assert max(path.stat().st_size for path in files()) < 10e6
    assert sum(path.stat().st_size for path in files()) < 60e6


def test_words_in_other_capitals_are_read_as_captions_have_them(pipeline: HoloCinePipeline) -> None:
    captions = "The setting is a sunny beach. [character1] is a red round puppet. [shot cut] Insert: nobody is in view."
    others = "The SETTING is a Sunny Beach. [character1] Is a RED Round PUPPET. [Shot Cut] InSert: NoBody is in View."
    read, same = (pipeline.tokenizer(text)["input_ids"] for text in (captions, others))
    assert read == same
    for scene in measured_scenes(40):
        prompt = to_storyboard(scene).prompt
        assert prompt.replace(" ", "") == pipeline.tokenizer.decode(
            pipeline.tokenizer(prompt)["input_ids"], skip_special_tokens=True
        ).replace(" ", "")


def test_the_same_seed_makes_the_same_video(pipeline: HoloCinePipeline) -> None:
    storyboard = to_storyboard(measured_scenes(1, num_frames=33)[0], seed=1)
    first, again = (pipeline(storyboard, num_inference_steps=2).frames[0] for _ in range(2))
    other = pipeline(storyboard, num_inference_steps=2, seed=2).frames[0]
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_the_judge_reads_rendered_truth() -> None:
    shares = check_judge(load_judge(), num_scenes=25)
    assert min(shares[name] for name in ("setting", "size", "framing", "colour0", "body0", "body1", "hat0")) >= 0.95


def test_unseen_storyboards_get_their_setting_and_shot_sizes(pipeline: HoloCinePipeline) -> None:
    scenes = measured_scenes(4)
    tally = measure(generated(pipeline, scenes), load_judge())
    assert tally.share("setting") >= 0.75
    assert tally.share("size") >= 0.6
    assert tally.asked["cut on the requested frame"] == sum(len(scene.cuts) for scene in scenes)


def test_who_is_seen_over_whose_shoulder_is_not_exchanged(pipeline: HoloCinePipeline) -> None:
    """Exchanged puppets were right as often as wrong while no part of the model had been asked for their places."""
    drawn = (sample_scene(seed, num_frames=33) for seed in range(830_000, 831_000))
    scenes = list(islice((scene for scene in drawn if shots_over_a_shoulder(scene)), 8))
    judge, right, exchanged = load_judge(), 0, 0
    for scene, frames in generated(pipeline, scenes):
        seen = read_shots(judge, frames, scene.cuts)
        for shot in shots_over_a_shoulder(scene):
            truth = shot_answers(scene, shot)
            found, asked = ([[answers[f"{t}{s}"] for t in LOOKS] for s in (0, 1)] for answers in (seen[shot], truth))
            right += found == asked
            exchanged += found == asked[::-1]
    assert right > len(scenes) / 2
    assert exchanged <= 1


def shots_over_a_shoulder(scene: Scene) -> list[int]:
    return [number for number, shot in enumerate(scene.shots) if shot.framing == "over-the-shoulder"]
