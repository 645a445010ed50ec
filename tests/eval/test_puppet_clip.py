"""The theatre's CLIP: its recipe runs and resumes, and the embedded weights know the theatre."""

import json
from pathlib import Path

import cv2
import numpy as np
import open_clip
import pytest
import torch
from transformers import AutoTokenizer

from eval.encoders import describe_texts, load_encoders
from eval.encoders.__main__ import main
from eval.encoders.loading import PUPPET_FOLDER
from eval.encoders.puppet_measure import Count, measure_puppet_clip, table
from eval.encoders.puppet_training import TOKENIZER, _encode_texts, degrade, train_puppet_clip
from holocine.puppet.captions import to_storyboard
from holocine.puppet.renderer import render
from holocine.puppet.world import sample_scene

MEGABYTE = 1e6


@pytest.fixture(scope="module")
def embedded():
    scene = sample_scene(1)
    return load_encoders("auto", to_storyboard(scene)).clip


def shots_of(seed):
    """The frames in the middle of every shot of a scene."""
    scene = sample_scene(seed)
    middles = [start + shot.num_frames // 2 for start, shot in zip((0, *scene.cuts), scene.shots, strict=True)]
    return scene, render(scene, only=set(middles))[0]


def test_training_writes_a_model_that_open_clip_loads_and_goes_on_where_it_stopped(tmp_path):
    lines = []
    for _ in range(2):
        train_puppet_clip(tmp_path / "run", 600, tmp_path / "out", 4, progress=lines.append, most_steps=1)
    assert torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)["step"] == 2
    model = open_clip.create_model(f"local-dir:{tmp_path / 'out'}")
    assert isinstance(model, open_clip.model.CLIP)
    clip = load_encoders(tmp_path / "out").clip
    scene, pictures = shots_of(1)
    assert clip.embed_images(pictures).shape == (len(scene.shots), clip.dim)


def test_training_and_open_clip_agree_on_a_text(embedded):
    tokenizer = AutoTokenizer.from_pretrained(TOKENIZER)
    texts = ["Close-up of a red round puppet with a golden crown.", "The scene is set in the woods."]
    with torch.no_grad():
        vectors = torch.nn.functional.normalize(_encode_texts(embedded.model, tokenizer, texts), dim=-1)
    np.testing.assert_allclose(embedded.embed_texts(texts), vectors.numpy(), atol=1e-5)


def test_degraded_pictures_are_pictures():
    picture = shots_of(2)[1][0]
    rng = np.random.default_rng(0)
    for _ in range(40):
        degraded = degrade(picture, rng)
        assert degraded.dtype == np.uint8 and degraded.ndim == 3 and min(degraded.shape[:2]) >= 4


def test_the_embedded_model_is_small_and_in_open_clips_format():
    files = [file for file in PUPPET_FOLDER.iterdir() if file.is_file()]
    assert max(file.stat().st_size for file in files) < 10 * MEGABYTE
    assert sum(file.stat().st_size for file in files) < 10 * MEGABYTE
    assert "model_cfg" in json.loads((PUPPET_FOLDER / "open_clip_config.json").read_text())


def test_the_embedded_model_knows_scenes_that_it_has_not_seen():
    counts = list(measure_puppet_clip(PUPPET_FOLDER, num_scenes=24, group=24).values())
    for count in counts:
        assert count.of > 10
        chance = count.chance / count.of
        assert count.right / count.of > chance + 0.5 * (1 - chance)


def test_the_right_caption_beats_that_of_another_puppet_in_the_same_shot(embedded):
    storyboard = "{} of a {} {} puppet with {} standing still. The camera is static."
    right = wrong = 0
    for seed in range(25):
        scene, pictures = shots_of(seed)
        for shot, picture in zip(scene.shots, pictures, strict=True):
            if shot.framing != "single":
                continue
            puppet = scene.puppets[shot.who[0]]
            other = "blue" if puppet.colour != "blue" else "red"
            texts = [
                storyboard.format("Medium shot", colour, puppet.body, puppet.hat) for colour in (puppet.colour, other)
            ]
            similarity = embedded.embed_texts(texts) @ embedded.embed_images(picture[None])[0]
            right, wrong = right + int(similarity[0] > similarity[1]), wrong + int(similarity[0] <= similarity[1])
    assert right > 9 * wrong


def test_enlarged_and_soft_pictures_keep_their_place(embedded):
    _, pictures = shots_of(3)
    vectors = embedded.embed_images(pictures)
    enlarged = np.stack([cv2.resize(p, (832, 480), interpolation=cv2.INTER_CUBIC) for p in pictures])
    soft = np.stack([cv2.GaussianBlur(p, (0, 0), 1.0) for p in pictures])
    for changed in (enlarged, soft):
        similarity = embedded.embed_images(changed) @ vectors.T
        assert (similarity.argmax(1) == np.arange(len(pictures))).all()


def test_two_looks_are_told_apart_by_the_features_that_stand_in_for_dino():
    dino = load_encoders("auto", to_storyboard(sample_scene(1))).dino
    assert dino.id == "puppet-clip:features"
    frames = np.concatenate([shots_of(4)[1][:1], render(sample_scene(4), only={0, 1})[0]])
    vectors = dino.embed_images(frames)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert vectors[1] @ vectors[2] > vectors[0] @ vectors[1]


def test_the_whole_prompt_of_a_scene_fits_in_pieces(embedded):
    for seed in range(20):
        for text in describe_texts(to_storyboard(sample_scene(seed))).shots:
            assert embedded.count_tokens(text) <= embedded.context_length


def test_the_commands_train_and_measure(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("eval.encoders.puppet_training._BATCH_SCENES", 4)
    assert main(["train-puppet-clip", str(tmp_path), "--minutes", "0"]) == 0
    folder = tmp_path / "puppet_clip"
    assert (folder / "open_clip_model.safetensors").is_file()
    out = tmp_path / "counts.json"
    assert main(["measure-puppet-clip", "--model", str(folder), "--scenes", "2", "--out", str(out)]) == 0
    assert "shot to its caption" in capsys.readouterr().out
    assert {"right", "of", "chance"} == set(next(iter(json.loads(out.read_text()).values())))


def test_counts_add_up_and_are_shown_with_chance():
    total = Count(1, 2, 0.5) + Count(2, 2, 1.0)
    assert total == Count(3, 4, 1.5)
    assert "| question | 75.0% (3/4) | 37.5% |" in table({"question": total})
    assert "| nothing | – | – |" in table({"nothing": Count()})


def test_the_card_of_the_embedded_model_shows_what_was_measured():
    counts = json.loads(Path(PUPPET_FOLDER / "measured.json").read_text())
    card = (PUPPET_FOLDER / "README.md").read_text()
    assert table({name: Count(**values) for name, values in counts.items()}) in card
