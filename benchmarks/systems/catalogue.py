"""`python -m benchmarks systems`: every system, what it needs, on what terms, and whether it is here."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from benchmarks.systems.baselines import BASELINES, COMMANDS, SHELF, missing
from benchmarks.systems.systems import GENERATED, WORLDS
from holocine.families import NAMES as FAMILIES
from holocine.families import find_family

# Gigabytes in bfloat16, the VAE's in float32: computed from the number of parameters. Activations come on top.
_WAN_1_3B = {"transformer": 2.8, "text encoder": 11.4, "VAE": 0.5}
_WAN_5B = {"transformer": 10.0, "text encoder": 11.4, "VAE": 2.8}
_STORYMEM = dict.fromkeys(("transformer", "transformer 2", "opening", "opening 2"), 28.6) | {
    "text encoder": 11.4,
    "VAE": 0.5,
    "image encoder": 0.2,
}
_SIZES = {"longlive": _WAN_5B, "storymem": _STORYMEM}
_EMBEDDED = "the embedded model"
_TWO_STAGES = (
    "; or keyframe:IMAGE_TO_VIDEO@TEXT_TO_IMAGE, folders of a WanImageToVideoPipeline and of any text-to-image one"
)


@dataclass(frozen=True)
class Listed:
    """One line. gigabytes: of all weights; gpu_gigabytes: of those that are on a GPU at once when what does not run is
    kept in main memory (--model-cpu-offload). here: whether it can be run now; get: the command that gets what is
    missing, None if nothing is.
    """

    system: str
    what: str
    needs: str
    gigabytes: float
    gpu_gigabytes: float
    licence: str
    here: bool
    get: str | None = None


_WHAT = {
    "holocine": "all shots in one go: sparse attention with summaries, text windows",
    "holocine-full": "holocine with full attention between shots",
    "isolated": "holocine without summaries: shots see nothing of one another",
    "no-window": "holocine without text windows: every shot reads all captions",
    "single-prompt": "all the text as one shot, nothing said of cuts",
    "independent-shots": "one generation a shot, joined",
    "keyframe": "first frames together, then each shot from its own; or the two stages of two other models",
    "retake": "every shot made anew once, the others kept",
    "continue": "the scene in two halves, the second sees the first's last two shots",
    "phases": "EchoShot's rotary phases, for a model trained with them (see ablations)",
    "block-mask": "CineTrans's masks in the middle blocks, for a model trained with them (see ablations)",
    "causal": "ShotStream's blocks after context frames, for a model trained so (see ablations)",
    "truth": "the puppet world's own rendering",
    "still": "truth’s first frame all the time",
    "shuffled": "truth’s shots in another order",
}


_WAN = "Wan2.1 or Wan2.2 itself, of any size: all the text, no cuts"
_MECHANISMS = {
    "echoshot": "shots by rotary phases, each with its caption (2 to 6 shots, 24 to 32 latent frames)",
    "cinetrans": "shots by masks in the middle blocks (81 frames)",
    "longlive": "blocks of 32 frames through a window, phases a shot (at most 509 frames)",
    "storymem": "one shot after the other beside up to ten pictures of those before (81 frames at once)",
    "shotstream": "one shot after the other from six frames of those before (81 frames a shot)",
}


def listed() -> Iterator[Listed]:
    """Every system."""
    for kind in GENERATED:
        if kind in BASELINES:
            continue
        yield Listed(
            kind,
            _WHAT[kind],
            f"{_EMBEDDED}, or a HoloCine or Wan folder as {kind}@FOLDER{_TWO_STAGES if kind == 'keyframe' else ''}",
            0.02,
            0.0,
            "Apache-2.0",
            True,
        )
    for kind in BASELINES:
        why, sizes = missing(kind), _SIZES.get(kind, _WAN_1_3B)
        yield Listed(
            kind,
            described(kind),
            f"{SHELF / kind}, or {kind}@FOLDER",
            round(sum(sizes.values()), 1),
            max(sizes.values()),
            "Apache-2.0" if kind == "wan" else find_family(kind).origin.licence,
            why is None,
            None if why is None else COMMANDS[kind].format(out=SHELF / kind),
        )
    yield Listed(
        "folder:PATH", "finished videos of any model", "a video file for each storyboard", 0, 0, "theirs", True
    )
    for kind in WORLDS:
        yield Listed(kind, _WHAT[kind], "storyboards of the puppet world", 0, 0, "Apache-2.0", True)


def described(kind: str) -> str:
    """What a system of a kind is, in a few words; "" for a kind that is none."""
    if kind in _WHAT:
        return _WHAT[kind]
    if kind == "wan":
        return _WAN
    return "finished videos of another model" if kind == "folder" else _MECHANISMS.get(kind, "")


def _rates() -> str:
    """At what size and rate each family is run."""
    groups: dict[str, list[str]] = {}
    for name in FAMILIES:
        known = find_family(name)
        groups.setdefault(f"{known.width}x{known.height}, {known.fps:g} frames a second", []).append(name)
    return "; ".join(f"{', '.join(names)}: {how}" for how, names in groups.items())


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="as JSON")


def run(options: argparse.Namespace) -> int:
    """Print the list."""
    found = list(listed())
    if options.json:
        print(json.dumps([asdict(one) for one in found], ensure_ascii=False, indent=1))
        return 0
    width = max(len(one.system) for one in found)
    for one in found:
        here = "here" if one.here else "not here"
        size = f", {one.gigabytes:g} GB of weights" if one.gigabytes else ""
        gpu = f", at least {one.gpu_gigabytes:g} GB of GPU memory" if one.gpu_gigabytes else ""
        print(f"{one.system:<{width}}  {here:<8}  {one.what}")
        print(f"{'':<{width}}            needs {one.needs}{size}{gpu}; licence: {one.licence}")
        if one.get:
            print(f"{'':<{width}}            {one.get}")
    print(
        "\nSizes are of weights as loaded on a GPU, in bfloat16 and the VAE in float32: computed, not measured.\n"
        "The GPU memory is that of the largest part, with --model-cpu-offload, activations apart. "
        f"{_rates()}."
    )
    return 0
