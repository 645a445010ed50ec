"""Scene -> frames and per-frame truth."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import cv2
import numpy as np

from holocine.puppet.stage import _CIRCLE, Camera, Canvas, draw_scenery, exposure, off_centre, shade
from holocine.puppet.world import COLOURS, HEIGHT, SCARVES, WIDTH, Puppet, Scene, ShotPlan

_SCALES = {"wide": 27.0, "medium": 40.0, "close-up": 60.0}  # pixels per puppet height
_AIM = {"wide": 0.72, "medium": 0.62, "close-up": 0.66}  # height of the camera's aim
_LIGHTS = {"neutral": (1.0, 1.0, 1.0), "warm": (1.08, 0.98, 0.84), "cool": (0.86, 0.97, 1.1)}
_PAN = 30.0  # pixels a pan moves the picture by, from first to last frame
_WALK = 34.0  # pixels a walk covers
_ZOOM = 1.45  # ratio of scales over a zoom
_JUMP, _JUMP_FRAMES = 0.3, 14  # height in puppet heights, length of a hop in frames
_INK = (34, 28, 36)


@dataclass(frozen=True)
class VisiblePuppet:
    """`box` is x0, y0, x1, y1 in pixels, clipped to the picture."""

    index: int
    box: tuple[float, float, float, float]
    from_behind: bool


@dataclass(frozen=True)
class FrameTruth:
    shot: int
    camera: Camera
    puppets: tuple[VisiblePuppet, ...]
    lanterns_lit: float


def _progress(num_frames: int) -> np.ndarray:
    """From -0.5 to 0.5 over a shot."""
    return np.linspace(-0.5, 0.5, num_frames)


def shot_cameras(scene: Scene, index: int) -> list[Camera]:
    """The camera of every frame of a shot. Its resting place in the stretch belongs to the stage, not to the shot."""
    shot = scene.shots[index]
    rest = np.random.default_rng((scene.seed, shot.stretch, 3)).uniform(-0.8, 0.8)
    scale, aim = _SCALES[shot.size], _AIM[shot.size]
    if shot.framing == "two-shot":
        scale *= 0.94
    t = _progress(shot.num_frames)
    pan = {"pan left": -1.0, "pan right": 1.0}.get(shot.camera, 0.0) * _PAN / scale
    zoom = {"zoom in": 1.0, "zoom out": -1.0}.get(shot.camera, 0.0) * np.log(_ZOOM)
    return [Camera(rest + pan * u, aim, scale * float(np.exp(zoom * u))) for u in t]


def lantern_light(scene: Scene, index: int) -> np.ndarray:
    """How far the lanterns are lit in every frame of a shot: they come on in mid-shot and stay on."""
    switched = [i for i, shot in enumerate(scene.shots) if shot.lanterns_light_up]
    length = scene.shots[index].num_frames
    if not switched or index < switched[0]:
        return np.zeros(length)
    if index > switched[0]:
        return np.ones(length)
    return np.clip((np.arange(length) - length * 0.35) / 6.0, 0.0, 1.0)


def _stage_x(scene: Scene, shot: ShotPlan, camera: Camera, u: float, slot: int) -> float:
    """How far from the middle of the shot's resting camera a puppet is, by its action and the composition."""
    walk = {"walking left": -1.0, "walking right": 1.0}.get(shot.action, 0.0) * _WALK / _SCALES[shot.size]
    if shot.framing == "two-shot":
        walk *= 0.6
        return (-0.62, 0.62)[slot] + walk * u
    return off_centre(scene, shot.stretch) / _SCALES[shot.size] + walk * u


def render(scene: Scene, only: Collection[int] | None = None) -> tuple[np.ndarray, list[FrameTruth]]:
    """Render the frames of a scene, all or `only` some: uint8 (frames, HEIGHT, WIDTH, 3), and what is in each."""
    frames, truths = [], []
    start = 0
    for index, shot in enumerate(scene.shots):
        tint = np.array(_LIGHTS[scene.light]) * exposure(scene, shot.stretch)
        table = np.clip(np.arange(256)[:, None] * tint, 0, 255).astype(np.uint8)
        cameras, lit = shot_cameras(scene, index), lantern_light(scene, index)
        resting = _resting(cameras)
        scenery, drawn_for = None, None
        for frame, (camera, u) in enumerate(zip(cameras, _progress(shot.num_frames), strict=True)):
            if only is not None and start + frame not in only:
                continue
            canvas = Canvas(camera)
            if drawn_for == (camera, lit[frame]):  # a camera at rest sees the same scenery
                canvas.pixels[:] = scenery
            else:
                draw_scenery(canvas, scene, shot.stretch, float(lit[frame]))
                scenery, drawn_for = canvas.pixels.copy(), (camera, lit[frame])
            visible = _draw_cast(canvas, scene, shot, resting, float(u), frame)
            picture = canvas.finish()
            picture = cv2.LUT(picture, table[None])
            frames.append(picture)
            truths.append(FrameTruth(index, camera, tuple(visible), float(lit[frame])))
        start += shot.num_frames
    return np.stack(frames), truths


class _NoCanvas(Canvas):
    """Draws nothing: for who wants to know what would be drawn."""

    def __init__(self, camera: Camera) -> None:
        self.camera = camera

    def polygon_px(self, points: np.ndarray, colour: tuple[float, ...]) -> None:
        pass


def trace(scene: Scene) -> list[FrameTruth]:
    """What is in every frame, without drawing any: a twentieth of the time that `render` takes."""
    truths = []
    for index, shot in enumerate(scene.shots):
        cameras, lit = shot_cameras(scene, index), lantern_light(scene, index)
        resting = _resting(cameras)
        for frame, (camera, u) in enumerate(zip(cameras, _progress(shot.num_frames), strict=True)):
            visible = _draw_cast(_NoCanvas(camera), scene, shot, resting, float(u), frame)
            truths.append(FrameTruth(index, camera, tuple(visible), float(lit[frame])))
    return truths


def _resting(cameras: list[Camera]) -> Camera:
    """The middle of a shot's camera movement, which is what the puppets are placed by."""
    return Camera(float(np.mean([cameras[0].x, cameras[-1].x])), cameras[0].y, cameras[len(cameras) // 2].scale)


def _draw_cast(
    canvas: Canvas, scene: Scene, shot: ShotPlan, resting: Camera, u: float, frame: int
) -> list[VisiblePuppet]:
    if shot.framing == "over-the-shoulder":
        seen, foreground = shot.who
        return [
            _draw_puppet(canvas, scene.puppets[seen], seen, resting.x + 0.35, frame, "standing"),
            _draw_puppet(
                canvas, scene.puppets[foreground], foreground, resting.x - 0.62, frame, "standing", size=1.5, back=True
            ),
        ]
    return [
        _draw_puppet(
            canvas, scene.puppets[who], who, resting.x + _stage_x(scene, shot, resting, u, slot), frame, shot.action
        )
        for slot, who in enumerate(shot.who)
    ]


def _body_outline(body: str) -> np.ndarray:
    if body == "round":
        return _CIRCLE * (0.37, 0.37) + (0, 0.43)
    if body == "square":
        return np.array([(-0.34, 0.06), (0.34, 0.06), (0.34, 0.76), (-0.34, 0.76)])
    return np.array([(-0.46, 0.06), (0.46, 0.06), (0.07, 0.9), (-0.07, 0.9)])


def _width_at(body: str, y: float) -> float:
    """Half the width of a body at a height."""
    if body == "round":
        return 0.37 * float(np.sqrt(max(0.0, 1 - ((y - 0.43) / 0.37) ** 2)))
    if body == "square":
        return 0.34
    return 0.46 + (0.07 - 0.46) * (y - 0.06) / 0.84


_TOP = {"round": 0.77, "square": 0.75, "triangular": 0.84}
_EYES = {"round": 0.55, "square": 0.56, "triangular": 0.5}


def _draw_puppet(
    canvas: Canvas,
    puppet: Puppet,
    index: int,
    x: float,
    frame: int,
    action: str,
    size: float = 1.0,
    back: bool = False,
) -> VisiblePuppet:
    lift = stretch = 0.0
    if action == "jumping":
        phase = abs(np.sin(np.pi * frame / _JUMP_FRAMES))
        lift, stretch = _JUMP * phase, 0.08 * (phase - 0.5)
    elif action.startswith("walking"):
        lift = 0.03 * abs(np.sin(np.pi * frame / 6))
    gaze = {"walking left": -1.0, "walking right": 1.0}.get(action, 0.0)
    colour = COLOURS[puppet.colour]

    def place(points: np.ndarray) -> np.ndarray:
        return np.asarray(points, float) * (size * (1 - stretch), size * (1 + stretch)) + (x, lift)

    def fill(points: np.ndarray, paint: tuple[float, ...]) -> None:
        canvas.polygon(place(points), paint)

    canvas.ellipse(x, 0.02, 0.36 * size * (1 - 0.5 * lift), 0.05 * size, (60, 52, 60))  # shadow
    step = 0.09 * np.sin(np.pi * frame / 6) if action.startswith("walking") else 0.0
    for side in (-1, 1):
        fill(_CIRCLE * (0.11, 0.07) + (side * 0.17 + side * step, 0.05), _INK)
    outline = _body_outline(puppet.body)
    middle = outline.mean(0)
    fill((outline - middle) * 1.1 + middle, shade(colour, 0.45))
    fill(outline, colour)
    neck, hem = 0.31, 0.16
    left, right = _width_at(puppet.body, neck), _width_at(puppet.body, hem)
    scarf = SCARVES[puppet.scarf]
    fill(np.array([(-left, neck), (left, neck), (right, hem), (-right, hem)]), scarf)
    fill(
        np.array([(0.08, neck - 0.05), (0.22, neck - 0.05), (0.24, neck - 0.24), (0.1, neck - 0.24)]),
        shade(scarf, 0.82),
    )
    if not back:
        eye = _EYES[puppet.body]
        for side in (-1, 1):
            fill(_CIRCLE * (0.085, 0.1) + (side * 0.12 + gaze * 0.05, eye), (255, 255, 255))
            fill(_CIRCLE * (0.042, 0.055) + (side * 0.12 + gaze * 0.09, eye), _INK)
    _draw_hat(fill, puppet.hat, _TOP[puppet.body])
    _draw_prop(fill, puppet.prop)
    corners = canvas.camera.to_pixels(
        place(np.array([(-0.46, 0.0), (0.46, _TOP[puppet.body] + _HAT_HEIGHT[puppet.hat])]))
    )
    (x0, y1), (x1, y0) = corners
    box = (max(0.0, x0), max(0.0, y0), min(float(WIDTH), x1), min(float(HEIGHT), y1))
    return VisiblePuppet(index, tuple(float(v) for v in box), back)


_HAT_HEIGHT = {"no hat": 0.0, "golden crown": 0.22, "black top hat": 0.34, "party hat": 0.36}


def _draw_hat(fill, hat: str, top: float) -> None:
    if hat == "golden crown":
        teeth = [(-0.24, 0.24), (-0.12, 0.1), (0, 0.24), (0.12, 0.1), (0.24, 0.24)]
        fill(np.array([(0.21, -0.06), (-0.21, -0.06), *teeth]) + (0, top), (255, 204, 30))
        fill(_CIRCLE * 0.045 + (0, top + 0.02), (210, 30, 60))
    elif hat == "black top hat":
        fill(np.array([(-0.32, -0.06), (0.32, -0.06), (0.32, 0.03), (-0.32, 0.03)]) + (0, top), _INK)
        fill(np.array([(-0.19, 0.02), (0.19, 0.02), (0.21, 0.34), (-0.21, 0.34)]) + (0, top), _INK)
        fill(np.array([(-0.19, 0.04), (0.19, 0.04), (0.195, 0.11), (-0.195, 0.11)]) + (0, top), (170, 40, 50))
    elif hat == "party hat":
        fill(np.array([(-0.2, -0.05), (0.2, -0.05), (0, 0.36)]) + (0, top), (230, 60, 160))
        fill(np.array([(-0.135, 0.08), (0.135, 0.08), (0.08, 0.19), (-0.08, 0.19)]) + (0, top), (90, 220, 230))
        fill(_CIRCLE * 0.06 + (0, top + 0.35), (255, 246, 150))


def _draw_prop(fill, prop: str) -> None:
    if prop == "nothing":
        return
    x = 0.5
    fill(_CIRCLE * 0.06 + (x - 0.06, 0.32), _INK)  # hand
    if prop == "balloon":
        fill(np.array([(x - 0.02, 0.3), (x + 0.02, 0.3), (x + 0.05, 0.72), (x + 0.03, 0.72)]), (90, 84, 90))
        fill(_CIRCLE * (0.17, 0.21) + (x + 0.05, 0.88), (240, 70, 90))
    elif prop == "flower":
        fill(np.array([(x - 0.025, 0.2), (x + 0.025, 0.2), (x + 0.025, 0.56), (x - 0.025, 0.56)]), (50, 140, 60))
        fill(_CIRCLE * 0.14 + (x, 0.62), (250, 250, 255))
        fill(_CIRCLE * 0.06 + (x, 0.62), (250, 190, 40))
    else:
        fill(np.array([(x - 0.025, 0.16), (x + 0.025, 0.16), (x + 0.025, 0.9), (x - 0.025, 0.9)]), (120, 84, 50))
        fill(_CIRCLE[:15] * (0.34, 0.26) + (x, 0.84), (70, 90, 210))
