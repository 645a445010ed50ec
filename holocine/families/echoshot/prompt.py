"""EchoShot's prompt, `[1]… [2]…` with lengths, and what it makes of a storyboard."""

from __future__ import annotations

import re
from collections.abc import Sequence

from holocine.families.translation import Translation, frames_at, latent_frames, nearest_lengths, notes_of
from holocine.storyboard import Storyboard, StoryboardError
from holocine.timeline import FRAMES_PER_LATENT, num_frames_of, num_latent_frames
from holocine.wording import describe_texts, ended

FPS = 16.0
MIN_SHOTS, MAX_SHOTS = 2, 6
MIN_FRAMES, MAX_FRAMES = 93, 125  # of a scene decoded as a whole, as its authors advise: 24 to 32 latent frames
_NUMBER = re.compile(r"\[\d+\]")


def parse(prompt: str) -> tuple[str, ...]:
    """The captions of a prompt `[1]… [2]…`; empty ones are left out, text before the first number is one.

    Raises ValueError unless there are 2 to 6.
    """
    captions = tuple(text for part in _NUMBER.split(prompt) if (text := part.strip()))
    if not MIN_SHOTS <= len(captions) <= MAX_SHOTS:
        raise ValueError(f"EchoShot makes {MIN_SHOTS} to {MAX_SHOTS} shots, and the prompt has {len(captions)}")
    return captions


def split(total: int, num_shots: int, ratios: Sequence[float] | None = None) -> tuple[int, ...]:
    """Divide `total` latent frames as EchoShot does: evenly or by ratios, cut off, and the last shot takes the rest.

    Raises ValueError if the ratios are not one a shot, or leave a shot without a latent frame.
    """
    ratios = [1.0] * num_shots if ratios is None else list(ratios)
    if len(ratios) != num_shots:
        raise ValueError(f"there are {num_shots} shots, but {len(ratios)} lengths: give one for each")
    lengths = [int(total * ratio / sum(ratios)) for ratio in ratios[:-1]]
    lengths.append(total - sum(lengths))
    for shot, length in enumerate(lengths, start=1):
        if length < 1:
            raise ValueError(f"shot {shot} of {num_shots}: its share of {total} latent frames is less than one")
    return tuple(lengths)


def decoded_frames(length: int) -> int:
    """Frames of a shot of so many latent frames, which the video autoencoder decodes by itself."""
    return num_frames_of(length)


def translate(storyboard: Storyboard) -> Translation:
    """What EchoShot makes of a storyboard; raises StoryboardError unless it has 2 to 6 shots."""
    num_shots = storyboard.num_shots
    if not MIN_SHOTS <= num_shots <= MAX_SHOTS:
        raise StoryboardError(
            f"EchoShot makes {MIN_SHOTS} to {MAX_SHOTS} shots in one pass, and this storyboard has {num_shots}"
        )
    wanted = _wanted_ends(frames_at(storyboard, FPS))
    lengths = _latent_lengths(wanted)
    frames = [decoded_frames(length) for length in lengths]
    grid = f"shots of {FRAMES_PER_LATENT}t - {FRAMES_PER_LATENT - 1} frames"
    texts = describe_texts(storyboard)
    captions = tuple(f"{ended(shot)} {texts.scene}" for shot in texts.shots)
    least, most = (num_latent_frames(count) for count in (MIN_FRAMES, MAX_FRAMES))
    # Each shot is decoded by itself, to 4 t - 3 frames.
    fewest, longest = (FRAMES_PER_LATENT * t - (FRAMES_PER_LATENT - 1) * num_shots for t in (least, most))
    advised = (
        f"{least} to {most} latent frames a scene, in {num_shots} shots {fewest} to {longest} frames, at {FPS:g} "
        "frames a second"
    )
    makes = grid if least <= round(wanted[-1]) <= most else advised
    run = storyboard.run_on(frames, FPS, f"EchoShot makes {makes}")
    return Translation(
        storyboard=run,
        captions=captions,
        common=None,
        prompt=" ".join(f"[{number}]{caption}" for number, caption in enumerate(captions, start=1)),
        latent_lengths=lengths,
        notes=(
            "EchoShot has no global caption: it is written after the caption of every shot",
            *notes_of("EchoShot", storyboard, run, makes),
        ),
    )


def _wanted_ends(ends: Sequence[float]) -> list[float]:
    """Latent frames after which shots, of 4t - 3 frames each, would end at the frames `ends`; not rounded."""
    return [latent_frames(end + (FRAMES_PER_LATENT - 1) * shot) for shot, end in enumerate(ends)]


def _latent_lengths(wanted: Sequence[float]) -> tuple[int, ...]:
    """Latent frames of each shot, which end nearest to those in `wanted`, as far as the advised lengths allow."""
    least, most = num_latent_frames(MIN_FRAMES), num_latent_frames(MAX_FRAMES)
    total = min(max(least, round(wanted[-1])), most)
    scale = min(1.0, most / wanted[-1])
    return nearest_lengths([scale * end for end in wanted], total)
