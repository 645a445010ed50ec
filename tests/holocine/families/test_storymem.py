"""StoryMem's pipeline on tiny random weights of the real classes: what each part sees of those before it."""

import numpy as np
import pytest
import torch

from holocine import Storyboard
from holocine.families.storymem import pipeline as module
from holocine.families.storymem.memory import cosine, embedded, scaled
from holocine.families.storymem.pipeline import Album, StoryMemPipeline
from holocine.families.storymem.scheduler import StoryMemScheduler
from tests.conftest import build_image_encoder


@pytest.fixture
def pipeline(tokenizer, text_encoder, vae, make_transformer):
    pipeline = StoryMemPipeline(
        tokenizer,
        text_encoder,
        vae,
        StoryMemScheduler(),
        make_transformer(3, in_channels=36),
        make_transformer(4, in_channels=36),
        make_transformer(5),
        make_transformer(6),
        build_image_encoder(),
        default_height=16,
        default_width=16,
        default_num_inference_steps=1,
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def board(*frames: int) -> Storyboard:
    shots = [{"caption": f"shot {n}", "num_frames": count} for n, count in enumerate(frames)]
    return Storyboard(global_caption="A street.", fps=16.0, seed=7, shots=shots)


@pytest.fixture
def parts(monkeypatch):
    """What each part was denoised with, and what came out."""
    seen = []
    denoise = module.denoise_part

    def watched(*given):
        seen.append((*given, denoise(*given)))
        return seen[-1][-1]

    monkeypatch.setattr(module, "denoise_part", watched)
    return seen


def test_a_long_shot_goes_on_from_its_last_frames_and_a_cut_from_memory_alone(pipeline, parts):
    video = pipeline(board(100, 20), guidance_scale=1.0).frames[0]
    assert video.shape == (120, 16, 16, 3)
    first, second, third = parts
    assert first[0] == (pipeline.opening, pipeline.opening_2) and first[5] is None
    assert first[4].shape == (1, 16, 21, 2, 2) and first[6].config.shift == 12 and first[9] == 0.875
    for number, (experts, _, _, _, noise, known, scheduler, _, _, boundary, *_, made) in enumerate(parts[1:], start=1):
        assert experts == (pipeline.transformer, pipeline.transformer_2)
        assert scheduler.config.shift == 4 and boundary == 0.9
        memories = known.shape[2] - 21
        assert 1 <= memories <= 10 and noise.shape == made.shape == (1, 16, 21 + memories, 2, 2)
        drawn = torch.randn(noise.shape, generator=torch.Generator("cpu").manual_seed(7 + number))
        assert torch.equal(noise, drawn)
        carried = 2 if number == 1 else 0
        mask = [1.0] * (memories + carried) + [0.0] * (21 - carried)
        assert known[0, :4, :, 0, 0].tolist() == [mask] * 4
    assert first[3] is None and torch.equal(first[2], second[2]), "one caption in all parts of a shot"
    assert not torch.equal(second[2], third[2])


def test_a_part_is_given_its_memory_frame_by_frame_and_the_frames_that_the_video_ended_with(pipeline, monkeypatch):
    encoded, encode = [], pipeline.encode_video
    monkeypatch.setattr(pipeline, "encode_video", lambda video: encoded.append(video) or encode(video))
    video = torch.from_numpy(pipeline(board(100), guidance_scale=1.0).frames[0])
    video = video.permute(3, 0, 1, 2)[None] / 127.5 - 1
    level = 2 / 255 + 1e-4  # pictures are kept in whole levels
    *memory, part = encoded
    assert 1 <= len(memory) <= 3 and {tuple(one.shape) for one in memory} == {(1, 3, 1, 16, 16)}
    torch.testing.assert_close(memory[0], video[:, :, :1], rtol=0, atol=level)
    assert part.shape == (1, 3, 81, 16, 16) and not part[:, :, 5:].any()
    torch.testing.assert_close(part[:, :, :5], video[:, :, 76:81], rtol=0, atol=level)


def test_the_same_seed_makes_the_same_video_in_every_kind_of_output(pipeline):
    one = pipeline(board(20, 20)).frames[0]
    assert np.array_equal(np.stack(list(pipeline(board(20, 20), output_type="stream").frames[0])), one)
    assert pipeline(board(20, 20), output_type="latent").frames[0].shape == (16, 42, 2, 2)
    with pytest.raises(ValueError, match="draws it itself: leave latents out"):
        pipeline(board(20), latents=torch.zeros(1, 16, 21, 2, 2))


def test_a_frame_like_one_that_is_kept_is_not_kept_again():
    eye, album = build_image_encoder(), Album()
    frames = torch.randint(0, 256, (1, 3, 32, 48), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    album.add(frames.repeat(5, 1, 1, 1), eye)
    assert len(album.pictures) == 1 and torch.equal(album.pictures[0], frames[0])
    album.add(frames.repeat(5, 1, 1, 1), eye)
    assert len(album.pictures) == len(album.vectors) == 1


def test_pictures_are_compared_as_clip_sees_them():
    eye = build_image_encoder()
    frames = torch.randint(0, 256, (2, 3, 480, 832), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    assert scaled(frames).shape == (2, 3, 336, 588) and scaled(frames).dtype == torch.uint8
    one, other = embedded(frames, eye)
    assert cosine(one, one) == pytest.approx(1.0, abs=1e-5) and cosine(one, other) < 1
