"""The suite of the puppet world: 100 staged scenes with truth, from one fixed seed.

Scenes are staged and not sampled, so that each asks for what it is there for: returns after one shot (A-B-A) and after
several (A-B-C-A), two puppets that are easily swapped, lanterns that have to stay lit. Sizes, actions and camera
movements are dealt out so that each combination comes up about equally often. Every rule of the world that training
keeps is kept: neighbouring shots show different places and read as a cut, puppets differ in colour and scarf.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import combinations, pairwise, product
from typing import Any

import numpy as np

from benchmarks.suites.suite import Entry, Suite, World
from holocine.puppet.captions import to_storyboard
from holocine.puppet.world import (
    ACTIONS,
    CAMERAS,
    COLOURS,
    FPS,
    HEIGHT,
    LIGHTS,
    NUM_STRETCHES,
    SETTINGS,
    SIZES,
    WIDTH,
    Puppet,
    Scene,
    ShotPlan,
    sample_lengths,
    sample_puppets,
)

NAME, VERSION = "puppet", 1
FIRST_SEED = 500_000  # training begins at 1,000,000; judge and measurements use 700,000 and 800,000
NEAR_COLOURS = 135.0  # Euclidean distance in RGB: red and orange, blue and purple, pink and white, …

# How scenes are cut, each five times with other puppets, places and words. A letter is a single shot of that puppet,
# two letters a two-shot, A>B is A seen over the shoulder of B, - is an empty stage. `*`: the lanterns light up there.
RETURNS_AFTER_ONE = ("A B A", "A B A B", "A AB B A", "B A - A B")
RETURNS_AFTER_MORE = ("A B C A", "A B - A", "A B C A B", "A B>C C B - A")
SWAPS = ("A B A", "AB A B", "A B A>B B", "A B B>A A B AB")
LIGHTS_STAY_ON = ("A B* A", "A* B A", "A B A* B", "A B C* AB A")
OTHERS = ("A B", "A A", "- A A A", "A A>B B AB")
TAKES = 5

Beat = tuple[str, tuple[int, ...], bool]  # framing, who, lanterns light up


def build_puppet_suite() -> Suite:
    """Stage the whole suite; the same on every call."""
    used: Counter = Counter()
    groups = (RETURNS_AFTER_ONE, RETURNS_AFTER_MORE, SWAPS, LIGHTS_STAY_ON, OTHERS)
    patterns = [(pattern, group is SWAPS) for group in groups for pattern in group for _ in range(TAKES)]
    entries = []
    for number, (pattern, swap) in enumerate(patterns):
        scene = stage(pattern, FIRST_SEED + number, used, look_alikes=swap)
        id = f"puppet-{number + 1:03d}"
        entries.append(Entry(id, to_storyboard(scene, title=pattern), tags_of(scene), scene))
    lengths = sorted({entry.storyboard.num_frames for entry in entries})
    return Suite(
        name=NAME,
        version=VERSION,
        fps=float(FPS),
        num_frames=tuple(lengths),
        size=(WIDTH, HEIGHT),
        entries=tuple(entries),
        description="100 scenes of the puppet world with known truth: returns, swaps, and what must stay as it was",
    )


def stage(pattern: str, seed: int, used: Counter, look_alikes: bool = False) -> Scene:
    """A scene cut as `pattern` says. `used` counts (size, action, camera) dealt so far and is added to."""
    rng = np.random.default_rng(seed)
    beats = [_beat(word) for word in pattern.split()]
    cast = max((who for _, whos, _ in beats for who in whos), default=0) + 1
    num_frames = int(rng.choice([n for n in (33, 49, 65, 81, 97) if _roomy(len(beats), n)]))
    lengths = sample_lengths(rng, len(beats), num_frames)
    puppets = _look_alikes(rng) if look_alikes else sample_puppets(rng, cast)
    shots: list[ShotPlan] = []
    for beat, following, length in zip(beats, [*beats[1:], None], lengths, strict=True):
        shots.append(_shot(rng, beat, following, length, shots[-1] if shots else None, used))
    return Scene(
        setting=SETTINGS[seed % len(SETTINGS)],
        puppets=puppets,
        shots=tuple(shots),
        light=str(rng.choice(LIGHTS)),
        lanterns="*" in pattern,
        seed=int(rng.integers(2**31)),
    )


def tags_of(scene: Scene) -> tuple[str, ...]:
    """What a scene asks for, read from the scene itself."""
    seen = [set(shot.who) for shot in scene.shots]
    tags = [f"shots:{len(seen)}", f"characters:{len(scene.puppets)}", f"setting:{scene.setting}"]
    tags += [f"characters-per-shot:{n}" for n in sorted({len(who) for who in seen})]
    tags += [f"framing:{framing}" for framing in sorted({shot.framing for shot in scene.shots})]
    absences = set(_absences(seen))
    tags += ["return:A-B-A"] * (1 in absences) + ["return:A-B-C-A"] * bool(absences - {1})
    probes = {
        "permanence": any(a & b for a, b in combinations(seen, 2)),
        "return": bool(absences),
        "unmentioned-detail": any(a & b for a, b in combinations(seen, 2)),
        "background": any(a.stretch == b.stretch for a, b in combinations(scene.shots, 2)),
        "shot-scale": len({shot.size for shot in scene.shots}) > 1,
        "camera-movement": any(shot.camera != "static" for shot in scene.shots),
        "swap": any(easily_swapped(a, b) for a, b in combinations(scene.puppets, 2)),
        "causal-state": any(shot.lanterns_light_up for shot in scene.shots[:-1]),
    }
    return (*tags, *(f"probe:{name}" for name, probed in probes.items() if probed))


def easily_swapped(a: Puppet, b: Puppet) -> bool:
    """Whether two puppets differ in nothing that captions say but a near colour."""
    same = (a.body, a.hat, a.prop) == (b.body, b.hat, b.prop)
    return same and a.colour != b.colour and _distance(a.colour, b.colour) < NEAR_COLOURS


def _absences(seen: list[set[int]]) -> Iterable[int]:
    """For every puppet that comes back: how many shots it was away."""
    for who in set().union(*seen):
        shots = [index for index, visible in enumerate(seen) if who in visible]
        yield from (later - earlier - 1 for earlier, later in pairwise(shots) if later > earlier + 1)


def _beat(word: str) -> Beat:
    lights_up, letters = word.endswith("*"), word.rstrip("*")
    who = tuple("ABC".index(letter) for letter in letters if letter in "ABC")
    if ">" in letters:
        return "over-the-shoulder", who, lights_up
    return ("insert", "single", "two-shot")[len(who)], who, lights_up


def _roomy(num_shots: int, num_frames: int) -> bool:
    """Room for shots of the shortest length and for some that are longer, but not for a video of one long shot."""
    return 16 * num_shots < num_frames <= max(65, 16 * num_shots + 33)


def _look_alikes(rng: np.random.Generator) -> tuple[Puppet, ...]:
    """Two puppets alike in body, hat and prop, of near colours, with different scarves."""
    first, second = sample_puppets(rng, 2)
    near = [pair for pair in product(COLOURS, COLOURS) if 0 < _distance(*pair) < NEAR_COLOURS]
    one, other = near[int(rng.integers(len(near)))]
    shared = {"body": first.body, "hat": first.hat, "prop": first.prop}
    return Puppet(colour=one, scarf=first.scarf, **shared), Puppet(colour=other, scarf=second.scarf, **shared)


def _distance(one: str, other: str) -> float:
    return float(np.linalg.norm(np.subtract(COLOURS[one], COLOURS[other])))


def _shot(
    rng: np.random.Generator,
    beat: Beat,
    following: Beat | None,
    length: int,
    previous: ShotPlan | None,
    used: Counter,
) -> ShotPlan:
    framing, who, lights_up = beat
    sizes = {"over-the-shoulder": ("medium",), "insert": ("wide",), "two-shot": SIZES[:2]}.get(framing, SIZES)
    actions = ("standing",) if framing in ("over-the-shoulder", "insert") else ACTIONS
    sizes = [size for size in sizes if previous is None or not _looks_like(previous, framing, who, size)]
    if following and following[0] == "insert":  # which is wide, so a wide shot before it would not read as a cut
        sizes = [size for size in sizes if size != "wide"]
    choices = list(product(sizes, actions, CAMERAS))
    least = min(used[choice] for choice in choices)
    rarest = [choice for choice in choices if used[choice] == least]
    size, action, camera = rarest[int(rng.integers(len(rarest)))]
    used[size, action, camera] += 1
    places = [place for place in range(NUM_STRETCHES) if previous is None or place != previous.stretch]
    place = int(rng.choice(places))
    return ShotPlan(length, framing, who, size, action, camera, place, lights_up)


def _looks_like(previous: ShotPlan, framing: str, who: tuple[int, ...], size: str) -> bool:
    """Whether a shot would differ from the previous one in little but the place, which would not read as a cut."""
    return previous.size == size and (size == "wide" or (previous.framing, previous.who) == (framing, who))


def read_scene(plain: Any) -> Scene:
    """The scene that a line of a suite holds as JSON. Raises TypeError or KeyError if it is none."""
    puppets = tuple(Puppet(**puppet) for puppet in plain["puppets"])
    shots = tuple(ShotPlan(**{**shot, "who": tuple(shot["who"])}) for shot in plain["shots"])
    return Scene(**{**plain, "puppets": puppets, "shots": shots})


WORLD = World(NAME, build_puppet_suite, read_scene)
