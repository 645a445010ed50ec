"""The puppet theatre: a small world whose every scene is known exactly.

A scene is what a storyboard describes (setting, puppets, shots) plus what the text never mentions but every shot
keeps: the scarf of each puppet, the light, the arrangement of the stage. The renderer turns a scene into frames and
truth, `captions` turns it into a storyboard.

Units: the stage is measured in puppet heights, time in frames at `FPS`, pictures in pixels (`HEIGHT` x `WIDTH`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

WORLD_VERSION = 2  # raised by every change of what scenes look like: videos of the world as it was are then made again
HEIGHT, WIDTH, FPS = 64, 112, 12
MIN_SHOT_FRAMES = 16  # 1.33 s; shorter shots are not told apart reliably by cut detectors
NUM_STRETCHES = 4
MOST_PUPPETS, MOST_IN_SHOT, MOST_SHOTS = 3, 2, 6

COLOURS = {
    "red": (212, 44, 46),
    "orange": (238, 112, 22),
    "yellow": (250, 222, 58),
    "green": (56, 168, 78),
    "blue": (46, 104, 222),
    "purple": (134, 70, 190),
    "pink": (246, 136, 184),
    "white": (242, 242, 242),
}
BODIES = ("round", "square", "triangular")
HATS = ("no hat", "golden crown", "black top hat", "party hat")
SETTINGS = ("beach", "forest", "city", "desert", "snow", "room")
SIZES = ("wide", "medium", "close-up")
ACTIONS = ("standing", "walking left", "walking right", "jumping")
CAMERAS = ("static", "pan left", "pan right", "zoom in", "zoom out")
FRAMINGS = ("single", "two-shot", "over-the-shoulder", "insert")
PROPS = ("nothing", "balloon", "flower", "umbrella")

# Never mentioned in any caption.
SCARVES = {
    "magenta": (206, 24, 120),
    "teal": (16, 164, 164),
    "cream": (252, 244, 214),
    "navy": (28, 30, 82),
    "lime": (168, 226, 40),
}
LIGHTS = ("neutral", "warm", "cool")


@dataclass(frozen=True)
class Puppet:
    colour: str
    body: str
    hat: str
    prop: str = "nothing"
    scarf: str = "teal"


@dataclass(frozen=True)
class ShotPlan:
    """One shot. `who` indexes the scene's puppets; for an over-the-shoulder shot it is (seen, foreground)."""

    num_frames: int
    framing: str
    who: tuple[int, ...]
    size: str
    action: str
    camera: str
    stretch: int
    lanterns_light_up: bool = False


@dataclass(frozen=True)
class Scene:
    setting: str
    puppets: tuple[Puppet, ...]
    shots: tuple[ShotPlan, ...]
    light: str
    lanterns: bool
    seed: int

    @property
    def num_frames(self) -> int:
        return sum(shot.num_frames for shot in self.shots)

    @property
    def cuts(self) -> tuple[int, ...]:
        """First frame (0-based) of every shot but the first."""
        return tuple(int(c) for c in np.cumsum([shot.num_frames for shot in self.shots])[:-1])


def sample_lengths(rng: np.random.Generator, num_shots: int, num_frames: int) -> tuple[int, ...]:
    """Random shot lengths in frames whose cuts are all 4t+1 and whose shots last at least `MIN_SHOT_FRAMES`.

    Raises ValueError when the shots cannot fit.
    """
    shortest = MIN_SHOT_FRAMES // 4
    spare = (num_frames - 1) // 4 - num_shots * shortest
    if spare < 0:
        raise ValueError(
            f"{num_shots} shots of at least {MIN_SHOT_FRAMES} frames need {num_shots * MIN_SHOT_FRAMES + 1} frames, "
            f"got {num_frames}"
        )
    extra = rng.multinomial(spare, rng.dirichlet(np.full(num_shots, 2.0)))
    lengths = [4 * (shortest + int(e)) for e in extra]
    lengths[0] += 1
    return tuple(lengths)


def sample_puppets(rng: np.random.Generator, count: int) -> tuple[Puppet, ...]:
    """Puppets that no two share a colour or a scarf, so that an identity is never ambiguous."""
    colours = rng.permutation(list(COLOURS))[:count]
    scarves = rng.permutation(list(SCARVES))[:count]
    return tuple(
        Puppet(
            colour=str(colour),
            body=str(rng.choice(BODIES)),
            hat=str(rng.choice(HATS)),
            prop=str(rng.choice(PROPS, p=(0.64, 0.12, 0.12, 0.12))),
            scarf=str(scarf),
        )
        for colour, scarf in zip(colours, scarves, strict=True)
    )


def _sample_shot(rng: np.random.Generator, num_frames: int, num_puppets: int, previous: ShotPlan | None) -> ShotPlan:
    if num_puppets >= 2:
        framing = str(rng.choice(FRAMINGS, p=(0.69, 0.17, 0.08, 0.06)))
    else:
        framing = str(rng.choice(("single", "insert"), p=(0.94, 0.06)))
    order = [int(i) for i in rng.permutation(num_puppets)]
    who = tuple({"single": order[:1], "insert": []}.get(framing, order[:2]))
    size = str(rng.choice(SIZES, p=(0.3, 0.37, 0.33)))
    action = str(rng.choice(ACTIONS, p=(0.37, 0.21, 0.21, 0.21)))
    camera = str(rng.choice(CAMERAS, p=(0.36, 0.16, 0.16, 0.16, 0.16)))
    if framing == "two-shot":
        who, size = tuple(sorted(who)), str(rng.choice(SIZES[:2]))
    elif framing == "over-the-shoulder":
        size, action = "medium", "standing"
    elif framing == "insert":
        size, action = "wide", "standing"
    others = [s for s in range(NUM_STRETCHES) if previous is None or s != previous.stretch]
    return ShotPlan(num_frames, framing, who, size, action, camera, int(rng.choice(others)))


def _look_alike(a: ShotPlan, b: ShotPlan) -> bool:
    """Two neighbours that differ in little but the background would not read as a cut."""
    return a.size == b.size and (a.size == "wide" or (a.framing == b.framing and a.who == b.who))


def sample_scene(
    seed: int, num_frames: int = 65, lengths: tuple[int, ...] | None = None, num_shots: int | None = None
) -> Scene:
    """A random valid scene. `lengths` (frames of each shot) fixes the timeline, else it is drawn too."""
    rng = np.random.default_rng(seed)
    if lengths is None:
        longest = (num_frames - 1) // MIN_SHOT_FRAMES
        count = num_shots or int(rng.integers(2, max(2, min(longest, MOST_SHOTS)) + 1))
        lengths = sample_lengths(rng, count, num_frames)
    puppets = sample_puppets(rng, int(rng.choice((1, 2, MOST_PUPPETS), p=(0.22, 0.58, 0.2))))
    shots: list[ShotPlan] = []
    for length in lengths:
        previous = shots[-1] if shots else None
        shot = _sample_shot(rng, length, len(puppets), previous)
        while previous and _look_alike(shot, previous):
            shot = _sample_shot(rng, length, len(puppets), previous)
        shots.append(shot)
    lanterns = bool(rng.random() < 0.12)
    if lanterns:
        i = int(rng.integers(len(shots)))
        shots[i] = ShotPlan(**{**shots[i].__dict__, "lanterns_light_up": True})
    return Scene(
        setting=str(rng.choice(SETTINGS)),
        puppets=puppets,
        shots=tuple(shots),
        light=str(rng.choice(LIGHTS)),
        lanterns=lanterns,
        seed=int(rng.integers(2**31)),
    )
