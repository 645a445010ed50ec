"""How far each metric can be trusted on film, and with the encoders that are really used.

Clips that people have are cut into pieces and joined to scenes whose cuts are known exactly. These are damaged in the
ways that need no other truth (`damage.film`) and scored like any video; from the values comes the same table as from
rendered truth. See `clips` for what is read, `joining` for the scenes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from eval.calibration.clips import WIDTH, Clip, load_clips
from eval.calibration.damage import Damage
from eval.calibration.damage.film import FILM_DAMAGES
from eval.calibration.footage_page import Calibration, write_footage
from eval.calibration.joining import FilmScene, film_scenes
from eval.calibration.keeping import Key, Record, arrange, collect_records, keys, score_all
from eval.calibration.reaction import reactions
from eval.encoders import Encoders, load_encoders
from eval.encoders.finders import load_owlv2
from eval.metrics import all_metrics
from eval.request import Request
from eval.scorecard import examine, measure
from eval.shots import ShotDetector, load_detector

FOOTAGE_SCENES = 8
# Of n scenes, each a little worse damaged than undamaged, a damaged one is worse than an undamaged one of any scene
# with an AUC of (1 + 1 / n) / 2 if scenes differ by more than that: it has to stay below what counts as noticed.
LEAST_SCENES = 6
FOOTAGE_VALUES = "footage_values.jsonl"
NO_CAPTIONS = "nobody said what the clips show: give captions in clips.json"
_DAMAGES = {damage.name: damage for damage in FILM_DAMAGES}


@dataclass(frozen=True)
class Setup:
    """What scenes and models follow from. paths: folders of clips, or clips. width: see `clips.load_clips`.

    clip, dino: as `eval.encoders.load_encoders` takes them. finder: what looks for characters, "owlv2", its id or a
    folder; None for nobody.
    """

    paths: tuple[Path, ...]
    num_scenes: int = FOOTAGE_SCENES
    width: int = WIDTH
    dino: str = "auto"
    clip: str = "auto"
    finder: str | None = None


@lru_cache(maxsize=1)
def _scenes(paths: tuple[Path, ...], num_scenes: int, width: int) -> tuple[list[Clip], list[FilmScene]]:
    clips = load_clips(paths, _detector(), width)
    return clips, film_scenes(clips, num_scenes)


@lru_cache(maxsize=1)
def _detector() -> ShotDetector:
    return load_detector()


@lru_cache(maxsize=1)
def _encoders(setup: Setup) -> Encoders:
    scene = clips_and_scenes(setup)[1][0]
    return load_encoders(setup.clip, scene.request.storyboard, dino=setup.dino)


def clips_and_scenes(setup: Setup) -> tuple[list[Clip], list[FilmScene]]:
    """The clips and the scenes joined from them; kept until others are asked for."""
    return _scenes(setup.paths, setup.num_scenes, setup.width)


def score_film(scene: FilmScene, key: Key, encoders: Encoders, detector: ShotDetector, finder: Any = None) -> Record:
    """Score a scene, undamaged or damaged as `key` says; `finder`: as `eval.scorecard.score` takes boxes."""
    _, name, strength = key
    if name is None:
        values, reasons = film_values(scene, scene.frames, scene.request, encoders, detector, finder)
        return Record(key, values, reasons)
    rng = np.random.default_rng((scene.number, *name.encode()))
    damaged = _DAMAGES[name].apply(scene, scene.frames, strength, rng)
    return Record(key, damaged and film_values(scene, *damaged, encoders, detector, finder)[0])


def film_values(
    scene: FilmScene,
    frames: np.ndarray,
    request: Request,
    encoders: Encoders,
    detector: ShotDetector,
    finder: Any = None,
) -> tuple[dict[str, float | None], dict[str, str]]:
    """Every metric of a version of the scene, and the reasons of those that have no value.

    What compares with texts has none where nobody said what the scene shows.
    """
    card, evidence = examine(frames, request, fps=scene.fps, encoders=encoders, detector=detector, boxes=finder)
    records = dict(card.metrics)
    if not scene.described:
        missing = {**evidence.missing, "text": evidence.missing.get("clip", NO_CAPTIONS)}
        bare = replace(evidence, text=None, missing=missing)
        on_texts = (metric for metric in all_metrics().values() if metric.group == "adherence")
        records |= {metric.name: measure(metric, bare) for metric in on_texts}
    values = {name: record.value for name, record in records.items()}
    return values, {name: record.reason for name, record in records.items() if record.value is None}


# Running and resuming


def _score(setup: Setup, key: Key) -> Record:
    scene = clips_and_scenes(setup)[1][key[0]]
    return score_film(scene, key, _encoders(setup), _detector(), setup.finder)


def _made_with(setup: Setup) -> Callable[[Key], str]:
    """What a kept value depends on: metrics, encoders, detector, the scene, and the version of the damage."""
    scenes = clips_and_scenes(setup)[1]
    versions = {name: metric.version for name, metric in all_metrics().items()}
    models = [_detector().name, *(encoder.sha256 for encoder in _loaded(setup).values())]
    mark = hashlib.sha256(json.dumps([versions, models]).encode()).hexdigest()[:16]

    def made_with(key: Key) -> str:
        number, damage, _ = key
        if number >= len(scenes):
            return ""  # of a run with more scenes
        return f"{mark}/{scenes[number].sha256[:16]}/{_DAMAGES[damage].version if damage in _DAMAGES else 0}"

    return made_with


def _loaded(setup: Setup) -> dict[str, Any]:
    """The models that look at pictures and texts, by role."""
    roles = {role: getattr(_encoders(setup), role) for role in ("clip", "dino", "aesthetic")}
    roles["finder"] = load_owlv2(setup.finder) if setup.finder else None
    return {role: encoder for role, encoder in roles.items() if encoder is not None}


def calibrate_footage(
    setup: Setup,
    path: Path,
    jobs: int = 1,
    progress: Callable[[int], None] | None = None,
    damages: Sequence[Damage] = FILM_DAMAGES,
) -> Calibration:
    """Score what `path` (JSON lines) lacks, and see how metrics react to damage."""
    scenes = clips_and_scenes(setup)[1]
    records = collect_records(
        keys(range(len(scenes)), damages),
        path,
        _made_with(setup),
        lambda missing: score_all(_score, [(setup, key) for key in missing], jobs),
        progress,
    )
    clean = [record for key, record in records.items() if key[1] is None]
    valued = {name for record in clean for name, value in record.values.items() if value is not None}
    reasons = {name: reason for record in clean for name, reason in record.reasons.items() if name not in valued}
    return Calibration(
        setup.clip,
        {role: f"{encoder.id} ({encoder.licence})" for role, encoder in _loaded(setup).items()},
        reactions(all_metrics(), tuple(damages), arrange(records, damages)),
        reasons,
    )


def run_footage(setup: Setup, specs: tuple[str, ...], out: Path, values: Path, jobs: int = 1) -> None:
    """`python -m eval calibrate --footage`: a table for every choice of CLIP in `specs`."""
    from tqdm import tqdm

    clips, scenes = clips_and_scenes(setup)
    setups = [replace(setup, clip=spec) for spec in specs]
    for one in setups:
        _loaded(one)  # what cannot be had is said before anything is scored
    with tqdm(total=len(setups) * len(keys(range(len(scenes)), FILM_DAMAGES)), unit="video") as bar:
        calibrations = [calibrate_footage(one, values, jobs, bar.update) for one in setups]
    write_footage(out, clips, scenes, calibrations, _detector().name)
    print(
        f"wrote {out / 'FOOTAGE.md'}: {len(calibrations[0].found)} reactions of metrics to damage in {len(scenes)} "
        f"scenes of {len(clips)} clips"
    )
