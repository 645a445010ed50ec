"""Drawing primitives: a supersampled canvas seen by a camera, and the scenery of the six settings."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from holocine.puppet.world import HEIGHT, NUM_STRETCHES, WIDTH, Scene

SUPERSAMPLE = 2
_SHIFT = 5  # fractional bits of OpenCV's sub-pixel coordinates
_CIRCLE = np.stack([np.cos(np.linspace(0, 2 * np.pi, 28, False)), np.sin(np.linspace(0, 2 * np.pi, 28, False))], 1)
HORIZON = 0.35  # height of the horizon above the puppets' feet

Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Camera:
    """`x`, `y`: the point of the stage in the middle of the picture; `scale`: pixels per puppet height."""

    x: float
    y: float
    scale: float

    def to_pixels(self, points: np.ndarray) -> np.ndarray:
        """Stage coordinates (n, 2), y up -> pixel coordinates (n, 2), y down."""
        return np.stack(
            [WIDTH / 2 + (points[:, 0] - self.x) * self.scale, HEIGHT / 2 - (points[:, 1] - self.y) * self.scale], 1
        )

    @property
    def horizon(self) -> float:
        """Pixel row of the horizon."""
        return HEIGHT / 2 - (HORIZON - self.y) * self.scale

    @property
    def backdrop(self) -> Camera:
        """The camera for scenery far behind the puppets: it grows and moves more slowly than they do."""
        scale = 22 * (self.scale / 22) ** 0.5
        return Camera(self.x, (self.horizon - HEIGHT / 2) / scale, scale)


class Canvas:
    """A picture under construction, drawn at `SUPERSAMPLE` times the final size. Colours are RGB, 0 to 255."""

    def __init__(self, camera: Camera) -> None:
        self.camera = camera
        self.pixels = np.empty((HEIGHT * SUPERSAMPLE, WIDTH * SUPERSAMPLE, 3), np.uint8)

    def polygon(self, points: np.ndarray, colour: Colour, camera: Camera | None = None) -> None:
        """Fill a polygon given in stage coordinates (n, 2)."""
        self.polygon_px((camera or self.camera).to_pixels(np.asarray(points, float)), colour)

    def polygon_px(self, points: np.ndarray, colour: Colour) -> None:
        corners = np.clip(points * SUPERSAMPLE - 0.5, -2000, 2000) * (1 << _SHIFT)
        cv2.fillPoly(self.pixels, [np.round(corners).astype(np.int32)], colour, cv2.LINE_AA, _SHIFT)

    def ellipse(self, x: float, y: float, rx: float, ry: float, colour: Colour, camera: Camera | None = None) -> None:
        self.polygon(_CIRCLE * (rx, ry) + (x, y), colour, camera)

    def box(self, x0: float, y0: float, x1: float, y1: float, colour: Colour, camera: Camera | None = None) -> None:
        self.polygon(np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)]), colour, camera)

    def gradient(self, top_row: float, bottom_row: float, top: Colour, bottom: Colour) -> None:
        """Fill the rows between two pixel rows with a vertical gradient."""
        first = int(np.clip(round(top_row * SUPERSAMPLE), 0, self.pixels.shape[0]))
        last = int(np.clip(round(bottom_row * SUPERSAMPLE), 0, self.pixels.shape[0]))
        if last > first:
            rows = (np.arange(first, last) / SUPERSAMPLE - top_row) / max(bottom_row - top_row, 1e-6)
            band = np.asarray(top) + rows[:, None] * (np.asarray(bottom, float) - np.asarray(top))
            self.pixels[first:last] = band[:, None].astype(np.uint8)

    def finish(self) -> np.ndarray:
        """The picture (HEIGHT, WIDTH, 3), uint8."""
        return cv2.resize(self.pixels, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)


def shade(colour: Colour, factor: float) -> Colour:
    return tuple(float(min(255.0, c * factor)) for c in colour)


SKIES: dict[str, tuple[Colour, Colour]] = {
    "beach": ((96, 178, 238), (188, 226, 246)),
    "forest": ((150, 208, 190), (206, 232, 190)),
    "city": ((40, 42, 96), (96, 78, 148)),
    "desert": ((246, 176, 106), (252, 220, 160)),
    "snow": ((168, 190, 222), (222, 232, 244)),
    "room": ((186, 140, 122), (206, 160, 138)),
}
GROUNDS: dict[str, tuple[Colour, Colour]] = {
    "beach": ((236, 214, 150), (222, 192, 122)),
    "forest": ((92, 148, 66), (66, 116, 50)),
    "city": ((92, 94, 112), (66, 68, 86)),
    "desert": ((222, 168, 92), (200, 140, 70)),
    "snow": ((238, 242, 250), (208, 218, 236)),
    "room": ((146, 96, 62), (112, 70, 44)),
}
# Every stretch of the stage faces the light differently, which is what makes a cut between two of them visible.
EXPOSURES = (1.0, 0.6, 1.3, 0.76)
_SKY_TINTS = ((1.0, 1.0, 1.0), (1.2, 0.9, 0.72), (0.74, 1.06, 1.1), (1.14, 0.76, 1.06))
_OFF_CENTRE = (-14.0, -5.0, 15.0, 5.0)  # pixels


@dataclass(frozen=True)
class Landmark:
    x: float
    kind: int
    size: float
    tone: float


def stretch_order(scene: Scene) -> np.ndarray:
    return np.random.default_rng(scene.seed).permutation(NUM_STRETCHES)


def exposure(scene: Scene, stretch: int) -> float:
    return EXPOSURES[int(stretch_order(scene)[stretch])]


def sky_tint(scene: Scene, stretch: int) -> np.ndarray:
    return np.array(_SKY_TINTS[int(stretch_order(scene)[stretch])])


def off_centre(scene: Scene, stretch: int) -> float:
    """How many pixels right of the middle a shot of this stretch is composed: the eye jumps at a cut."""
    return _OFF_CENTRE[int(stretch_order(scene)[stretch])]


def landmarks(scene: Scene, stretch: int) -> list[Landmark]:
    """The scenery of one stretch: never mentioned in the text, always the same when the camera comes back."""
    rng = np.random.default_rng((scene.seed, stretch))
    found, x = [], -5.0 + rng.uniform(0, 1.2)
    while x < 5.0:
        found.append(Landmark(x, int(rng.integers(3)), rng.uniform(0.75, 1.25), rng.uniform(0.8, 1.15)))
        x += rng.uniform(1.1, 2.2)
    return found


def draw_scenery(canvas: Canvas, scene: Scene, stretch: int, lit: float) -> None:
    """Sky, ground and landmarks. `lit` in [0, 1] is how far the lanterns have come on."""
    camera = canvas.camera
    back = camera.backdrop
    sky, ground, tint = SKIES[scene.setting], GROUNDS[scene.setting], sky_tint(scene, stretch)
    canvas.gradient(
        min(0.0, camera.horizon - 60),
        HEIGHT,
        *(tuple(np.minimum(colour * tint, 255)) for colour in np.array(sky, float)),
    )
    _FAR[scene.setting](canvas, back, scene, stretch)
    canvas.gradient(
        camera.horizon,
        camera.horizon + 60,
        *(tuple(np.minimum(colour * tint**0.7, 255)) for colour in np.array(ground, float)),
    )
    for mark in landmarks(scene, stretch):
        _NEAR[scene.setting](canvas, back, mark)
    if scene.lanterns:
        _draw_lanterns(canvas, back, lit)


def _waves(scene: Scene, stretch: int, count: int, low: float, high: float) -> list[tuple[float, float, float]]:
    """Hill-like (x, half width, height) triples over a stretch."""
    rng = np.random.default_rng((scene.seed, stretch, 7))
    return [(x + rng.uniform(-1, 1), rng.uniform(1.4, 2.6), rng.uniform(low, high)) for x in np.linspace(-6, 6, count)]


def _sun(canvas: Canvas, back: Camera, scene: Scene, stretch: int, colour: Colour, radius: float) -> None:
    """Sun or moon, in one stretch of the scene only."""
    rng = np.random.default_rng((scene.seed, 11))
    home, x = int(rng.integers(NUM_STRETCHES)), rng.uniform(-1.8, 1.8)
    if stretch == home:
        canvas.ellipse(back.x * 0.8 + x, 1.25, radius, radius, colour, back)


def _far_beach(canvas: Canvas, back: Camera, scene: Scene, stretch: int) -> None:
    _sun(canvas, back, scene, stretch, (255, 240, 150), 0.3)
    canvas.box(-30, 0.0, 30, 0.4, (40, 120, 190), back)
    canvas.box(-30, -0.03, 30, 0.06, (214, 236, 240), back)


def _far_forest(canvas: Canvas, back: Camera, scene: Scene, stretch: int) -> None:
    for x, width, height in _waves(scene, stretch, 6, 0.7, 1.3):
        canvas.ellipse(x, 0, width, height, (88, 150, 110), back)


def _far_city(canvas: Canvas, back: Camera, scene: Scene, stretch: int) -> None:
    _sun(canvas, back, scene, stretch, (238, 236, 210), 0.24)
    rng, x = np.random.default_rng((scene.seed, stretch, 7)), -7.0
    walls = tuple(np.array((54, 52, 102)) * sky_tint(scene, stretch))
    while x < 7.0:
        width, height = rng.uniform(0.6, 1.2), rng.uniform(0.6, 1.5)
        canvas.box(x, 0, x + width, height, walls, back)
        x += width


def _far_desert(canvas: Canvas, back: Camera, scene: Scene, stretch: int) -> None:
    _sun(canvas, back, scene, stretch, (255, 246, 206), 0.34)
    for x, width, height in _waves(scene, stretch, 5, 0.3, 0.8):
        canvas.polygon(np.array([(x - width, 0), (x + 0.2, height), (x + width, 0)]), (226, 154, 84), back)


def _far_snow(canvas: Canvas, back: Camera, scene: Scene, stretch: int) -> None:
    for x, width, height in _waves(scene, stretch, 5, 0.7, 1.4):
        canvas.polygon(np.array([(x - width, 0), (x, height), (x + width, 0)]), (138, 152, 186), back)
        peak = np.array([(x - width * 0.3, height * 0.7), (x, height), (x + width * 0.3, height * 0.7)])
        canvas.polygon(peak, (240, 244, 252), back)


def _far_room(canvas: Canvas, back: Camera, scene: Scene, stretch: int) -> None:
    canvas.box(-30, 0.0, 30, 0.12, (236, 220, 200), back)


def _near_beach(canvas: Canvas, back: Camera, mark: Landmark) -> None:
    x, s = mark.x, mark.size
    if mark.kind == 0:  # palm tree
        canvas.polygon(
            np.array([(x - 0.07, -0.1), (x + 0.07, -0.1), (x + 0.16 * s, s), (x + 0.06 * s, s)]), (140, 98, 58), back
        )
        for dx, dy in ((-0.55, -0.12), (-0.35, 0.28), (0.35, 0.3), (0.6, -0.1)):
            top = np.array((x + 0.1 * s, s))
            tip = top + np.array((dx, dy)) * s
            side = np.array((-dy, dx)) * 0.25 * s
            middle = (top + tip) / 2 + (0, 0.08 * s)
            canvas.polygon(np.array([top, middle + side, tip, middle - side]), shade((46, 150, 70), mark.tone), back)
    elif mark.kind == 1:  # parasol
        canvas.box(x - 0.03, -0.1, x + 0.03, 0.7 * s, (240, 240, 240), back)
        canvas.polygon(_CIRCLE[:15] * (0.5 * s, 0.36 * s) + (x, 0.6 * s), shade((236, 84, 74), mark.tone), back)
    else:  # rock
        canvas.ellipse(x, -0.05, 0.36 * s, 0.26 * s, shade((132, 124, 118), mark.tone), back)


def _near_forest(canvas: Canvas, back: Camera, mark: Landmark) -> None:
    x, s = mark.x, mark.size
    if mark.kind == 0:  # leafy tree
        canvas.box(x - 0.09 * s, -0.12, x + 0.09 * s, 0.7 * s, (104, 72, 46), back)
        canvas.ellipse(x, 1.0 * s, 0.46 * s, 0.48 * s, shade((52, 128, 58), mark.tone), back)
    elif mark.kind == 1:  # fir
        canvas.box(x - 0.07 * s, -0.12, x + 0.07 * s, 0.3 * s, (88, 60, 40), back)
        canvas.polygon(
            np.array([(x - 0.42 * s, 0.2 * s), (x, 1.4 * s), (x + 0.42 * s, 0.2 * s)]),
            shade((28, 96, 66), mark.tone),
            back,
        )
    else:  # bush
        canvas.ellipse(x, 0.0, 0.42 * s, 0.3 * s, shade((120, 164, 60), mark.tone), back)


def _near_city(canvas: Canvas, back: Camera, mark: Landmark) -> None:
    x, s = mark.x, mark.size
    if mark.kind == 0:  # house with lit windows
        canvas.box(x - 0.4, -0.05, x + 0.4, 1.2 * s, shade((84, 72, 120), mark.tone), back)
        for i in (-0.2, 0.2):
            for j in (0.35, 0.8):
                canvas.box(x + i - 0.1, j * s, x + i + 0.1, j * s + 0.2, (252, 220, 110), back)
    elif mark.kind == 1:  # street lamp
        canvas.box(x - 0.035, -0.1, x + 0.035, 0.95 * s, (130, 130, 150), back)
        canvas.ellipse(x, 0.98 * s, 0.13, 0.13, (255, 240, 180), back)
    else:  # shop
        canvas.box(x - 0.5, -0.05, x + 0.5, 0.6 * s, shade((120, 62, 82), mark.tone), back)
        canvas.box(x - 0.35, 0.08, x + 0.35, 0.36 * s, (128, 216, 224), back)


def _near_desert(canvas: Canvas, back: Camera, mark: Landmark) -> None:
    x, s = mark.x, mark.size
    if mark.kind == 0:  # cactus
        green = shade((58, 134, 70), mark.tone)
        canvas.box(x - 0.1, -0.1, x + 0.1, 0.95 * s, green, back)
        canvas.box(x - 0.34, 0.36 * s, x, 0.5 * s, green, back)
        canvas.box(x - 0.34, 0.36 * s, x - 0.22, 0.75 * s, green, back)
        canvas.box(x, 0.26 * s, x + 0.34, 0.4 * s, green, back)
        canvas.box(x + 0.22, 0.26 * s, x + 0.34, 0.65 * s, green, back)
    elif mark.kind == 1:  # mesa
        canvas.polygon(
            np.array([(x - 0.7, -0.02), (x - 0.45, 0.6 * s), (x + 0.45, 0.6 * s), (x + 0.7, -0.02)]),
            shade((172, 84, 58), mark.tone),
            back,
        )
    else:  # stone
        canvas.ellipse(x, -0.05, 0.3 * s, 0.2 * s, shade((150, 110, 82), mark.tone), back)


def _near_snow(canvas: Canvas, back: Camera, mark: Landmark) -> None:
    x, s = mark.x, mark.size
    if mark.kind == 0:  # snowy fir
        canvas.polygon(
            np.array([(x - 0.4 * s, -0.05), (x, 1.2 * s), (x + 0.4 * s, -0.05)]), shade((58, 106, 100), mark.tone), back
        )
        canvas.polygon(
            np.array([(x - 0.16 * s, 0.72 * s), (x, 1.2 * s), (x + 0.16 * s, 0.72 * s)]), (248, 250, 255), back
        )
    elif mark.kind == 1:  # cabin
        canvas.box(x - 0.36, -0.05, x + 0.36, 0.4 * s, shade((132, 82, 56), mark.tone), back)
        canvas.polygon(np.array([(x - 0.5, 0.38 * s), (x, 0.75 * s), (x + 0.5, 0.38 * s)]), (250, 250, 255), back)
    else:  # snowman
        canvas.ellipse(x, 0.1, 0.28 * s, 0.26 * s, (252, 253, 255), back)
        canvas.ellipse(x, 0.1 + 0.38 * s, 0.19 * s, 0.19 * s, (252, 253, 255), back)
        canvas.ellipse(x + 0.05, 0.1 + 0.38 * s, 0.06, 0.04, (240, 130, 40), back)


def _near_room(canvas: Canvas, back: Camera, mark: Landmark) -> None:
    x, s = mark.x, mark.size
    if mark.kind == 0:  # window
        canvas.box(x - 0.36, 0.5, x + 0.36, 1.25, (244, 240, 232), back)
        canvas.box(x - 0.28, 0.57, x + 0.28, 1.18, (140, 204, 240), back)
    elif mark.kind == 1:  # painting
        canvas.box(x - 0.28 * s, 0.65, x + 0.28 * s, 1.15, (120, 74, 36), back)
        canvas.box(x - 0.2 * s, 0.72, x + 0.2 * s, 1.08, shade((96, 168, 120), mark.tone), back)
    else:  # bookcase
        canvas.box(x - 0.4, -0.1, x + 0.4, 0.85 * s, (96, 58, 36), back)
        for j, colour in ((0.1, (200, 70, 60)), (0.48, (60, 110, 170))):
            canvas.box(x - 0.32, j * s, x + 0.32, (j + 0.26) * s, shade(colour, mark.tone), back)


_FAR = {
    "beach": _far_beach,
    "forest": _far_forest,
    "city": _far_city,
    "desert": _far_desert,
    "snow": _far_snow,
    "room": _far_room,
}
_NEAR = {
    "beach": _near_beach,
    "forest": _near_forest,
    "city": _near_city,
    "desert": _near_desert,
    "snow": _near_snow,
    "room": _near_room,
}


def _draw_lanterns(canvas: Canvas, back: Camera, lit: float) -> None:
    dark, bright = np.array((96, 90, 96)), np.array((255, 226, 120))
    colour = tuple(dark + lit * (bright - dark))
    canvas.box(-30, 1.27, 30, 1.3, (70, 64, 70), back)
    for x in np.arange(-6.5, 6.6, 1.0):
        canvas.ellipse(x, 1.16, 0.15, 0.17, colour, back)
