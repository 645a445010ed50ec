"""Videos are decoded while they are written: the same pixels and files as at once, and nothing half."""

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKLWan

from holocine import contact_sheet, write_video
from holocine.frame_stream import FrameStream, InOrder, joined, watched
from holocine.keeping import Kept
from holocine.latent_decoding import decode_in_turn
from holocine.video import Thumbnails


def bare_stream(count=5, height=4, width=6):
    frames = np.random.default_rng(0).integers(0, 255, (count, height, width, 3), np.uint8)
    return frames, FrameStream(frames.shape, lambda: iter(frames))


@pytest.fixture
def big_vae():
    """A VAE with residual blocks of several widths, whose tiles are smaller than the pictures here."""
    with torch.random.fork_rng():
        torch.manual_seed(5)
        return AutoencoderKLWan(base_dim=8, z_dim=4, dim_mult=[1, 2, 2, 2], num_res_blocks=1).eval()


def in_turn(vae, latents):
    parts = list(decode_in_turn(vae, latents))
    assert [part.shape[2] for part in parts] == [1] + [4] * (latents.shape[2] - 1)
    return torch.cat(parts, dim=2)


@torch.no_grad()
@pytest.mark.parametrize("batch", [1, 2])
def test_latent_frames_decoded_in_turn_are_the_pixels_of_all_at_once_bit_for_bit(big_vae, batch):
    latents = torch.randn(batch, 4, 4, 3, 4, generator=torch.Generator().manual_seed(1))
    assert torch.equal(in_turn(big_vae, latents), big_vae.decode(latents).sample)


@torch.no_grad()
@pytest.mark.parametrize("height, width", [(5, 6), (2, 6)])
def test_tiles_decoded_in_turn_are_the_pixels_of_all_at_once_bit_for_bit(big_vae, height, width):
    latents = torch.randn(1, 4, 3, height, width, generator=torch.Generator().manual_seed(1))
    big_vae.enable_tiling(24, 32, 16, 24)
    assert torch.equal(in_turn(big_vae, latents), big_vae.decode(latents).sample)


@torch.no_grad()
def test_a_vae_in_patches_is_decoded_in_turn_too():
    with torch.random.fork_rng():
        torch.manual_seed(5)
        vae = AutoencoderKLWan(
            base_dim=8, decoder_base_dim=8, z_dim=4, dim_mult=[1, 2, 2, 2], num_res_blocks=1, is_residual=True,
            in_channels=12, out_channels=12, patch_size=2, scale_factor_spatial=16,
        ).eval()  # fmt: skip
    latents = torch.randn(1, 4, 3, 4, 5, generator=torch.Generator().manual_seed(1))
    assert torch.equal(in_turn(vae, latents), vae.decode(latents).sample)


@torch.no_grad()
def test_a_video_is_decoded_from_its_beginning_while_another_is_under_way(big_vae):
    one, other = torch.randn(2, 1, 4, 3, 4, 5, generator=torch.Generator().manual_seed(1))
    begun = decode_in_turn(big_vae, one)
    first = next(begun)
    whole = in_turn(big_vae, other)
    assert torch.equal(torch.cat([first, *begun], dim=2), big_vae.decode(one).sample)
    assert torch.equal(whole, big_vae.decode(other).sample)


def test_a_pipelines_stream_is_its_video_and_makes_the_same_file(pipeline, storyboard, tmp_path):
    at_once = pipeline(storyboard, seed=3).frames[0]
    output = pipeline(storyboard, seed=3, output_type="stream")
    (stream,) = output.frames
    before = output.timings["decode"]
    assert stream.shape == at_once.shape and np.array_equal(np.stack(list(stream)), at_once)
    assert output.timings["decode"] > before
    for name, frames in (("once.mp4", at_once), ("stream.mp4", stream)):
        write_video(tmp_path / name, frames, 16, storyboard, size=(96, 64))
    assert (tmp_path / "once.mp4").read_bytes() == (tmp_path / "stream.mp4").read_bytes()


@pytest.mark.parametrize("every", [1, 6])
def test_kept_pictures_are_in_a_stream_as_they_are_in_a_video(pipeline, storyboard, every):
    pictures = np.random.default_rng(0).integers(0, 255, (17, 32, 48, 3), np.uint8)
    keep = [Kept(1, frames=pictures[:5]), Kept(3, "first", frames=pictures[-1:])]
    for kept in (keep, [Kept(3, frames=pictures[13:])], [Kept(1, frames=pictures[:5])]):
        options = {"seed": 3, "keep": kept, "keep_every": every}
        at_once = pipeline(storyboard, **options).frames[0]
        assert np.array_equal(np.stack(list(pipeline(storyboard, output_type="stream", **options).frames[0])), at_once)


def test_several_storyboards_are_streams_of_their_own(pipeline, storyboard):
    boards = [storyboard, storyboard.model_copy(update={"seed": 5})]
    streams = pipeline(boards, output_type="stream").frames
    for stream, frames in zip(streams, pipeline(boards).frames, strict=True):
        assert np.abs(np.stack(list(stream)).astype(int) - frames).max() <= 1


def test_no_more_than_one_latent_frame_is_decoded_before_its_pictures_are_written(pipeline, storyboard, monkeypatch):
    decoded, written = [], []
    decoder = pipeline.vae.decoder.forward
    monkeypatch.setattr(pipeline.vae.decoder, "forward", lambda *a, **k: decoded.append(1) or decoder(*a, **k))
    stream = pipeline(storyboard, seed=3, output_type="stream").frames[0]
    for _ in stream:
        written.append(len(decoded))
    assert written == [1] + [2] * 4 + [3] * 4 + [4] * 4 + [5] * 4


def test_an_encoder_that_fails_in_the_middle_leaves_nothing(pipeline, storyboard, tmp_path):
    stream = pipeline(storyboard, seed=3, output_type="stream").frames[0]

    def fails(index, frame):
        if index == 9:
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        write_video(tmp_path / "x.mp4", watched(stream, fails), 16)
    assert not list(tmp_path.iterdir())


def test_the_contact_sheet_of_frames_that_went_by_is_that_of_all_of_them(storyboard):
    frames = np.random.default_rng(0).integers(0, 255, (17, 32, 48, 3), np.uint8)
    thumbnails = Thumbnails(storyboard, frames.shape)
    for _ in watched(frames, thumbnails.see):
        pass
    assert np.array_equal(contact_sheet(thumbnails, storyboard), contact_sheet(frames, storyboard))
    assert len(thumbnails.pictures) == 15 and thumbnails.pictures[0].width == 200


def test_a_slice_of_a_stream_is_its_part_and_streams_can_be_joined():
    frames, stream = bare_stream()
    assert np.array_equal(np.stack(list(stream[1:4])), frames[1:4]) and len(stream[1:4]) == 3
    assert np.array_equal(np.stack(list(stream[-2:][:1])), frames[3:4])
    assert np.array_equal(np.stack(list(joined(frames, stream[3:]))), np.concatenate([frames, frames[3:]]))


def test_parts_are_read_in_order_and_what_lies_between_them_is_thrown_away():
    frames, stream = bare_stream(8)
    in_order = InOrder(stream)
    parts = [in_order.part(span) for span in (range(1, 3), range(5, 6))]
    assert [
        np.array_equal(np.stack(list(part)), frames[s])
        for part, s in zip(parts, (slice(1, 3), slice(5, 6)), strict=True)
    ] == [True, True]
    with pytest.raises(ValueError, match="frame 5 was already read"):
        list(in_order.part(range(5, 6)))


def test_a_stream_that_ends_early_or_changes_its_size_is_an_error():
    frames, _ = bare_stream()
    with pytest.raises(ValueError, match="the frames ended after 5 of 6"):
        list(FrameStream((6, 4, 6, 3), lambda: frames))
    with pytest.raises(ValueError, match=r"frame 0 is uint8 \(4, 6, 3\) in a stream of uint8 \(4, 8, 3\)"):
        list(FrameStream((5, 4, 8, 3), lambda: frames))
