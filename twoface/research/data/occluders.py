"""Things drawn in front of faces, placed by the mesh: what the occlusion network learns from. NumPy and OpenCV only.

A `Scene` is one aligned crop; each `draw_*` changes its picture and marks in `covered` what is no longer this face.
Sizes are pixels of the 128 crop unless something else is said.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from twoface.core.arrays import Field, Matrix, Numbers, Picture, Plane, Points, Transform, Vector
from twoface.core.frame import SIZE
from twoface.core.mesh import POLYGONS, canonical_face, procrustes

REAL_HANDS = 0.75  # the share of hands that are real ones, where there are some
FEWEST = 40  # pixels of a hand worth laying
FINER = 4  # shapes are drawn at so many times the size, and shrunk by area
UNKNOWN = 255  # in `covered`: nobody says


@dataclass
class Scene:
    """picture: float32 (128, 128, 3), 0..255. points: (478, 3), the face's mesh. covered: uint8 (128, 128): 0 the face
    and what is beside it, 1 in front of it, `UNKNOWN`.

    other: gives a crop of somebody else, uint8 (160, 160, 3), and its mesh in the crop's pixels.
    head: gives the head of somebody else, float32 (160, 160, 4), RGB 0..255 and alpha 0..1.
    hand: gives a hand in the same way, and its 21 landmarks (21, 2) in the crop (`twoface.research.data.hands`).
    """

    rng: np.random.Generator
    picture: Field
    points: Points
    covered: Plane
    other: Callable[[], tuple[Picture, Points]]
    head: Callable[[], Field] | None = None
    hand: Callable[[], tuple[Field, Points]] | None = None

    def __post_init__(self) -> None:
        left, right = (self.points[list(pair), :2].mean(0) for pair in ((33, 133), (362, 263)))
        self.eyes = np.stack([left, right])
        self.unit = max(float(np.linalg.norm(right - left)), 8.0)  # the eye distance
        self.face = polygon_alpha([self.points[list(POLYGONS["oval"]), :2]]) > 0.5
        light = cv2.GaussianBlur(cv2.cvtColor(self.picture, cv2.COLOR_RGB2GRAY), (0, 0), 12)
        self.light = (light / max(float(light[self.face].mean() if self.face.any() else light.mean()), 20))[..., None]
        self.from_side, self.edge = self.pick(0, 6.3), self.pick(0.05, 0.5)  # whence things are lit, and how hard
        self.bright = float(np.clip(light.mean() / 120, 0.4, 1.5))

    def lay(self, layer: Numbers, alpha: Field, region: Field | None = None) -> None:
        """Composite a layer, (128, 128, 3) or a colour; what `region` (default: the alpha) covers is marked."""
        self.picture = self.picture + alpha[..., None] * (np.asarray(layer, np.float32) - self.picture)
        self.covered[(alpha if region is None else region) > 0.4] = 1

    def shade(self, alpha: Field, depth: float, shift: tuple[float, float], blur: float) -> None:
        """The shadow of something on what lies behind it."""
        moved = cv2.warpAffine(alpha, np.array([[1, 0, shift[0]], [0, 1, shift[1]]], np.float32), (SIZE, SIZE))
        self.picture = self.picture * (1 - depth * cv2.GaussianBlur(moved, (0, 0), blur))[..., None]

    def lit(self, colour: Numbers, strength: float = 0.6) -> Field:
        """A colour or layer in the photo's light."""
        return np.asarray(colour, np.float32) * (1 + strength * (np.clip(self.light, 0.3, 1.8) - 1)) * self.bright**0.5

    def pick(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    def chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)


# Shapes


def polygon_alpha(polygons: list[Points], lines: Sequence[tuple[Points, float]] = ()) -> Field:
    """Filled polygons (N, 2), and lines (points, width) -> coverage, float32 (128, 128)."""
    canvas = np.zeros((SIZE * FINER, SIZE * FINER), np.uint8)
    for polygon in polygons:
        cv2.fillPoly(canvas, [_fine(polygon)], 255)
    for points, width in lines:
        cv2.polylines(canvas, [_fine(points)], False, 255, max(1, round(width * FINER)))
    return cv2.resize(canvas, (SIZE, SIZE), interpolation=cv2.INTER_AREA).astype(np.float32) / 255


def _fine(points: Points) -> Numbers:
    return np.rint((np.asarray(points) + 0.5) * FINER).astype(np.int32)


def blob(rng: np.random.Generator, centre: Vector, size: tuple[float, float], rough: float = 0.15) -> Points:
    """A closed smooth outline about a centre, of a half width and half height, turned at random -> (48, 2)."""
    angle = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    radius = np.ones(48)
    for wave in range(2, 6):
        radius += rng.normal(0, rough / wave**0.5) * np.cos(wave * angle + rng.uniform(0, 6.3))
    ring = np.stack([np.cos(angle) * size[0], np.sin(angle) * size[1]], 1) * np.clip(radius, 0.3, 2)[:, None]
    return ring @ _turn(rng.uniform(0, 6.3)).T + centre


def _turn(angle: float) -> Matrix:
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def noise(rng: np.random.Generator, cells: int, channels: int = 1) -> Field:
    """Smooth noise of deviation about 1, (128, 128, channels)."""
    coarse = rng.normal(0, 1, (cells, cells, channels)).astype(np.float32)
    return cv2.resize(coarse, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC).reshape(SIZE, SIZE, channels)


def any_colour(rng: np.random.Generator) -> Vector:
    """Mostly dull, as things are."""
    grey = rng.uniform(10, 245)
    return np.clip(grey + rng.normal(0, 1, 3) * rng.choice([8, 30, 90]), 0, 255).astype(np.float32)


def texture(scene: Scene) -> Field:
    """A layer of something: a part of another picture, a colour with noise, stripes -> float32 (128, 128, 3)."""
    rng, kind = scene.rng, scene.rng.random()
    if kind < 0.45:
        crop, _ = scene.other()
        side = int(rng.integers(24, 90))
        x, y = (0 if rng.random() < 0.5 else int(rng.integers(0, 160 - side))), int(rng.integers(0, 160 - side))
        part = cv2.resize(np.ascontiguousarray(crop[y : y + side, x : x + side]), (SIZE, SIZE)).astype(np.float32)
        return part + scene.pick(-30, 30)
    layer = any_colour(rng) + noise(rng, int(rng.integers(2, 7))) * scene.pick(2, 25)
    if kind > 0.8:
        along = (np.arange(SIZE) if scene.chance(0.5) else np.arange(SIZE)[:, None]) / scene.pick(2, 9)
        layer = layer + (np.sin(along) * scene.pick(10, 70) * np.ones((SIZE, SIZE), np.float32))[..., None]
    return scene.lit(layer)


# Glasses


def draw_glasses(scene: Scene) -> None:
    _glasses(scene, dark=False)


def draw_sunglasses(scene: Scene) -> None:
    _glasses(scene, dark=True)


def _glasses(scene: Scene, dark: bool) -> None:
    """In three dimensions, in the units of the canonical face (about a centimetre), turned as the head is."""
    rng = scene.rng
    face = canonical_face() * (1, -1, -1)
    scale, rotation, shift = procrustes(face, scene.points[: len(face)])
    sink = scene.pick(-0.35, 0.9)  # they slide down the nose

    def seen(points: Points) -> Points:
        return (scale * np.asarray(points, float) @ rotation.T + shift)[:, :2]

    width, height = scene.pick(2.0, 2.9), scene.pick(1.15, 2.4)
    if dark:
        width, height = scene.pick(2.3, 3.1), scene.pick(1.4, 2.6)
    middle = (max(3.15, width + scene.pick(0.3, 0.7)), -2.6 + sink)
    square = rng.choice([2.0, 2.5, 3.5, 6.0])
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    ring = np.stack([_power(np.cos(angle), 2 / square) * width, _power(np.sin(angle), 2 / square) * height], 1)
    if scene.chance(0.4):  # aviators hang outwards, cat eyes rise
        ring[:, 0] += ring[:, 1] * scene.pick(-0.35, 0.35)
        ring[:, 1] += ring[:, 0] * scene.pick(-0.25, 0.1)
    if scene.chance(0.3):
        ring[:, 1] = np.maximum(ring[:, 1], -height * scene.pick(0.6, 0.9))  # a straight upper edge
    curve, front = scene.pick(0.05, 0.16), -5.2 + scene.pick(-0.4, 0.3)

    def lens(side: int) -> Points:
        x, y = side * (middle[0] + ring[:, 0]), middle[1] + ring[:, 1]
        return np.column_stack([x, y, front + curve * np.abs(x) ** 1.5 * 0.6])

    lenses = [lens(side) for side in (-1, 1)]
    shapes = [seen(each) for each in lenses]
    unit = scene.unit / 6.3  # pixels of a canonical unit
    rim = scene.pick(0.07, 0.22) if scene.chance(0.6) else scene.pick(0.2, 0.75)
    kind = rng.choice(["full", "half", "none"], p=[0.72, 0.13, 0.15] if not dark else [0.75, 0.1, 0.15])
    lines: list[tuple[Points, float]] = []
    if kind == "full":
        lines += [(np.concatenate([shape, shape[:1]]), rim * unit) for shape in shapes]
    elif kind == "half":
        lines += [(_upper(shape), rim * unit) for shape in shapes]
    else:
        rim = min(rim, 0.15)
    top = scene.pick(-0.75, 0.1) * height + middle[1]
    inner = middle[0] - width * 0.95
    arch = np.linspace(-1, 1, 9)
    bridge = np.column_stack([arch * inner, top - scene.pick(0, 0.5) * (1 - arch**2), np.full(9, front - 0.1)])
    lines.append((seen(bridge), max(rim * scene.pick(0.7, 1.5), 0.12) * unit))
    if scene.chance(0.2):
        lines.append((seen(bridge - (0, scene.pick(0.5, 1.0), 0)), max(rim * 0.7, 0.1) * unit))
    if scene.chance(0.85):  # the arms, where the head does not hide them
        for side in (-1, 1):
            hinge = np.array([side * (middle[0] + width), middle[1] - height * scene.pick(0, 0.6), front + 1.2])
            ear = np.array([side * 7.7, -2.4 + scene.pick(-0.3, 0.4), scene.pick(0.5, 2.5)])
            arm = seen(np.linspace(hinge, ear, 5))
            if (arm[-1, 0] - arm[0, 0]) * side > -0.3 * unit:
                lines.append((arm, max(rim * scene.pick(0.6, 1.2), 0.15) * unit))
    frame = polygon_alpha([], tuple(lines))
    glass = polygon_alpha(shapes)
    hints = np.maximum(frame, glass)

    scene.shade(frame if not dark else hints, scene.pick(0, 0.35), (scene.pick(-2, 2), scene.pick(0.5, 2.5)), 1.2)
    if dark:
        tint = any_colour(rng) * scene.pick(0.05, 0.4)
        fade = np.clip(1 - scene.pick(0, 0.7) * _falling(scene, shapes), 0, 1)
        scene.lay(tint, glass * scene.pick(0.55, 1.0) ** 0.5 * fade, glass)
    else:
        tint = any_colour(rng) * 0.5 + (110 if scene.chance(0.7) else 0)
        scene.lay(tint, glass * scene.pick(0, 1) ** 3 * 0.25, glass)
        if scene.chance(0.35):  # the lens makes the eye larger or smaller
            _magnify(scene, glass, shapes, scene.pick(0.9, 1.1))
    _reflections(scene, glass, shapes, dark)
    if kind == "none":
        edge = cv2.morphologyEx(glass, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
        scene.lay(any_colour(rng), edge * scene.pick(0.1, 0.6), edge * 0)
    colour = any_colour(rng) * rng.choice([0.2, 0.5, 1.0], p=[0.5, 0.25, 0.25])
    colour = scene.lit(colour + noise(rng, 24) * scene.pick(0, 18), 0.4)
    scene.lay(colour, frame * scene.pick(0.55, 1.0) ** 0.3, frame)
    if scene.chance(0.6):  # light along the rim
        gleam = np.roll(frame, -1, 0) * frame * np.clip(noise(rng, 10)[..., 0], 0, 1.5)
        scene.lay(np.full(3, 255.0), np.clip(gleam * scene.pick(0.1, 0.6), 0, 1), frame * 0)
    between = cv2.morphologyEx((hints > 0.4).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    scene.covered[between > 0] = 1


def _power(x: Vector, exponent: float) -> Vector:
    return np.sign(x) * np.abs(x) ** exponent


def _upper(shape: Points) -> Points:
    order = shape[shape[:, 1] <= np.median(shape[:, 1]) + 0.5]
    return order[np.argsort(order[:, 0])]


def _falling(scene: Scene, shapes: list[Points]) -> Field:
    """0 at the lenses' upper edge, 1 at the lower, (128, 128)."""
    low, high = np.concatenate(shapes)[:, 1].min(), np.concatenate(shapes)[:, 1].max()
    return np.clip((np.arange(SIZE, dtype=np.float32)[:, None] - low) / max(high - low, 1), 0, 1) * np.ones(
        SIZE, np.float32
    )


def _magnify(scene: Scene, glass: Field, shapes: list[Points], factor: float) -> None:
    for shape in shapes:
        centre = shape.mean(0)
        own = polygon_alpha([shape])[..., None] * (glass[..., None] > 0)
        move = np.array([[factor, 0, (1 - factor) * centre[0]], [0, factor, (1 - factor) * centre[1]]])
        larger = cv2.warpAffine(scene.picture, move, (SIZE, SIZE), borderMode=cv2.BORDER_REFLECT_101)
        scene.picture = scene.picture + own * (larger - scene.picture)


def _reflections(scene: Scene, glass: Field, shapes: list[Points], dark: bool) -> None:
    rng = scene.rng
    if scene.chance(0.35 if dark else 0.25):  # surroundings
        crop, _ = scene.other()
        world = cv2.resize(np.ascontiguousarray(crop[:60]), (SIZE, SIZE)).astype(np.float32)
        scene.lay(world * scene.pick(0.4, 1.1), glass * scene.pick(0.05, 0.7 if dark else 0.35), glass * 0)
    if scene.chance(0.45):  # windows and flashes
        for shape in shapes:
            if scene.chance(0.8):
                place = shape.mean(0) + rng.normal(0, 0.15, 2) * scene.unit
                size = (scene.unit * scene.pick(0.03, 0.35), scene.unit * scene.pick(0.03, 0.2))
                spot = polygon_alpha([blob(rng, place, size, 0.2)])
                spot = cv2.GaussianBlur(spot, (0, 0), scene.pick(0.4, 2.5)) * glass
                scene.lay(np.full(3, scene.pick(200, 255)), spot * scene.pick(0.3, 1.0), spot * 0)
    if scene.chance(0.25):  # a bright band across
        slope = scene.pick(-1, 1)
        x, y = np.meshgrid(np.arange(SIZE), np.arange(SIZE))
        band = np.exp(-(((x + slope * y - scene.pick(20, 110)) / scene.pick(3, 10)) ** 2)).astype(np.float32)
        scene.lay(np.full(3, 250.0), glass * band * scene.pick(0.1, 0.7), glass * 0)


# Masks and cloth


def draw_mask(scene: Scene) -> None:
    """A surgical mask, or a scarf, from the nose to beyond the chin."""
    rng, points = scene.rng, scene.points[:, :2]
    down = points[152] - points[168]
    low = scene.pick(0, 0.4) if scene.chance(0.85) else scene.pick(0.5, 0.8)  # worn under the nose
    top = points[6] + low * (points[2] - points[6])
    cheek = low * 0.5
    left = points[234] * (1 - cheek) + points[132] * cheek
    right = points[454] * (1 - cheek) + points[361] * cheek
    inset = scene.pick(0, 0.25)
    left, right = left + inset * (top - left), right + inset * (top - right)
    middle = points[152] + down * scene.pick(0.0, 0.08)
    jaw = [points[i] for i in (132, 58, 172, 136, 150, 148)], [points[i] for i in (377, 379, 365, 397, 288, 361)]
    lower = [p + inset * (middle - p) for p in (*jaw[0], middle, *jaw[1])]
    nose = [side + 0.55 * (top - side) + down * scene.pick(-0.03, 0.05) for side in (right, left)]
    upper = [right, nose[0], top, nose[1], left]
    outline = _rounded(np.array([*lower, *upper]))
    shape = polygon_alpha([outline])
    colour = np.array(
        [(150, 190, 215), (235, 238, 240), (30, 30, 34), (160, 205, 190), any_colour(rng), any_colour(rng)][
            rng.integers(6)
        ],
        np.float32,
    )
    layer = colour + noise(rng, 5) * scene.pick(2, 10)
    if scene.chance(0.2):
        layer = texture(scene)
    y = np.arange(SIZE, dtype=np.float32)[:, None] * np.ones(SIZE, np.float32)
    if scene.chance(0.7):  # folds
        bend = ((np.arange(SIZE) - top[0]) / scene.unit) ** 2 * scene.pick(-2, 4)
        for _ in range(rng.integers(2, 5)):
            place = top[1] + abs(down[1]) * scene.pick(0.2, 0.7)
            fold = np.exp(-(((y - place - bend) / scene.pick(0.6, 1.6)) ** 2))
            layer = layer * (1 - fold[..., None] * scene.pick(0.05, 0.25))
    across = np.abs(np.arange(SIZE) - top[0]) / (scene.unit * 1.3)
    layer = layer * (1 - np.clip(across, 0, 1) ** 2 * scene.pick(0.05, 0.45))[None, :, None]
    straps = []
    if scene.chance(0.7):
        for corner, ear in ((left, points[127]), (right, points[356])):
            straps.append((np.stack([corner, ear + (0, scene.pick(-3, 6))]), scene.pick(0.5, 1.5)))
        for corner, ear in ((lower[1], points[93]), (lower[-2], points[323])):
            straps.append((np.stack([corner, ear]), scene.pick(0.5, 1.5)))
    strap = polygon_alpha([], tuple(straps)) if straps else shape * 0
    scene.shade(shape, scene.pick(0.05, 0.35), (0, -scene.pick(0.5, 2)), 1.5)
    scene.lay(scene.lit(colour), strap * 0.9, strap)
    scene.lay(scene.lit(layer), shape * scene.pick(0.93, 1.0), shape)


def _rounded(corners: Points) -> Points:
    """A closed outline whose corners are cut twice (Chaikin)."""
    for _ in range(2):
        following = np.roll(corners, -1, 0)
        corners = np.stack([0.75 * corners + 0.25 * following, 0.25 * corners + 0.75 * following], 1).reshape(-1, 2)
    return corners


# Hands


def draw_hand(scene: Scene) -> None:
    """A palm and fingers of skin, at the face from its side or from below; sometimes two, sometimes with something."""
    kind = scene.rng.random()
    if kind < 0.12:  # at both cheeks
        _hand(scene, scene.points[58, :2])
        _hand(scene, scene.points[288, :2])
    elif kind < 0.34:  # under the chin
        _hand(scene, scene.points[152, :2] + scene.rng.normal(0, 0.25, 2) * scene.unit)
    else:
        for _ in range(2 if scene.chance(0.15) else 1):
            _hand(scene)


def _hand(scene: Scene, edge: Vector | None = None) -> None:
    """A real one where there are some, else or now and then one of capsules.

    edge: where at the face it is; anywhere at its outline, below the eyes as a rule, where nothing is said.
    """
    rng, unit = scene.rng, scene.unit
    if edge is None:
        oval = scene.points[list(POLYGONS["oval"]), :2]
        low = oval[oval[:, 1] > scene.eyes[:, 1].mean()] if scene.chance(0.75) else oval
        edge = low[rng.integers(len(low))]
    centre = scene.points[4, :2] + rng.normal(0, 0.25, 2) * unit
    inward = (centre - edge) / max(np.linalg.norm(centre - edge), 1)
    if scene.chance(0.25):  # right into the middle of the face
        edge = edge + inward * scene.pick(0.2, 1.0) * unit
    heading = np.arctan2(inward[1], inward[0]) + rng.normal(0, 0.7)
    if scene.chance(0.4):
        heading = -np.pi / 2 + rng.normal(0, 0.5)  # upright, as a hand at the cheek
    along, across = np.array([np.cos(heading), np.sin(heading)]), np.array([-np.sin(heading), np.cos(heading)])
    if scene.hand is not None and scene.chance(REAL_HANDS):
        goal, rests = edge + inward * scene.pick(-0.1, 0.5) * unit, scene.chance(0.5)
        return _paste_hand(scene, goal, heading, inward if rests else None)
    size = unit * scene.pick(0.85, 1.6)  # the palm's width
    skin = _skin(scene)
    side = 1 if scene.chance(0.5) else -1
    pose = rng.choice(["open", "together", "fist", "pointing", "tips"], p=[0.15, 0.25, 0.3, 0.15, 0.15])
    reach = {"fist": 0.35, "pointing": 0.35, "open": 0.9, "together": 0.9, "tips": 0.8}[pose]
    ahead = scene.pick(0.0, 0.6) * size if pose != "fist" else scene.pick(-0.2, 0.35) * size
    wrist = edge + along * (ahead - size * (1.1 + reach * 0.6))
    palm_end = wrist + along * size * 1.1
    # Arm, palm, thumb, fingers: each lies over what came before.
    elbow = wrist - along * 5 * unit + across * scene.pick(-1, 1) * unit
    if scene.chance(0.85):
        sleeve = scene.chance(0.5)
        start = wrist - along * size * scene.pick(0.1, 0.6) if sleeve else wrist
        _limb(scene, [wrist + along * size * 0.3, elbow], size * 0.36, skin)
        if sleeve:
            _limb(scene, [start, elbow], size * scene.pick(0.42, 0.6), texture(scene))
    corners = [
        wrist - across * size * 0.36,
        wrist + across * size * 0.36,
        palm_end + across * size * 0.5,
        palm_end - across * size * 0.5,
    ]
    _flesh(scene, _rounded(np.array(corners)), skin, size * 0.5)
    tip = palm_end + along * size * scene.pick(0.1, 0.4)
    thumb = wrist + side * across * size * 0.45 + along * size * 0.2
    fingers = [
        (
            [
                thumb,
                thumb + along * size * 0.35 + side * across * size * scene.pick(0, 0.3),
                tip + side * across * size * scene.pick(-0.2, 0.5),
            ],
            0.13,
        )
    ]
    for i in range(4):
        place = (i - 1.5) * 0.25 * size
        root = palm_end + across * place - along * size * 0.08
        long = size * (0.95, 1.05, 0.98, 0.78)[i if side > 0 else 3 - i]
        if pose == "fist" or (pose == "pointing" and i != (0 if side < 0 else 3)):
            long *= scene.pick(0.3, 0.45)
        spread = {"open": 0.22, "tips": 0.12}.get(pose, 0.03) * (i - 1.5) + rng.normal(0, 0.04)
        way = along @ _turn(spread).T
        bend = along @ _turn(spread + rng.normal(0, 0.25)).T
        fingers.append(([root, root + way * long * 0.55, root + way * long * 0.55 + bend * long * 0.45], 0.118))
    order = [0, *(1 + rng.permutation(4))] if scene.chance(0.6) else [*(1 + rng.permutation(4)), 0]
    for i in order:
        points, thick = fingers[i]
        _limb(scene, points, size * thick * scene.pick(0.9, 1.15), skin)
        if scene.chance(0.35) and pose != "fist":
            _nail(scene, points, size * thick)


def _paste_hand(scene: Scene, goal: Vector, heading: float, inward: Vector | None = None) -> None:
    """A real hand whose fingertips, knuckles or middle lie at `goal`, its fingers about towards `heading`.

    inward: where the face lies, if it is to rest there: it is moved until a small part of it lies before the face.
    """
    rng, unit = scene.rng, scene.unit
    assert scene.hand is not None
    cut, marks = scene.hand()
    if scene.chance(0.5):
        cut, marks = cut[:, ::-1], np.column_stack([cut.shape[1] - 1 - marks[:, 0], marks[:, 1]])
    way = marks[9] - marks[0]
    palm = max(float(np.linalg.norm(marks[5] - marks[17])), 0.75 * float(np.linalg.norm(way)), 2.0)
    scale = min(max(unit / 32 * scene.pick(0.8, 1.5), 0.6 * unit / palm), 1.5 * unit / palm)  # eyes are 32 px apart
    turn = heading - np.arctan2(way[1], way[0])
    if scene.chance(0.35):
        turn = rng.normal(0, 0.3)  # as it was held
    linear = scale * _turn(turn)
    touch = marks[int(rng.choice([4, 8, 12, 16, 5, 9, 13, 6, 10]))] if scene.chance(0.75) else marks.mean(0)
    move = np.column_stack([linear, goal - linear @ touch])
    if inward is not None:
        move = _resting(scene, np.ascontiguousarray(cut[..., 3]), move, inward)
    layer = cv2.warpAffine(np.ascontiguousarray(cut), move, (SIZE, SIZE), flags=cv2.INTER_LINEAR)
    alpha, marks = np.clip(layer[..., 3], 0, 1), marks @ linear.T + move[:, 2]
    if np.count_nonzero(alpha > 0.5) < FEWEST:
        return
    layer = layer[..., :3] / np.maximum(layer[..., 3:], 0.05)
    tone = layer[alpha > 0.5].mean(0)
    own = np.median(scene.picture[scene.face], axis=0) if scene.face.any() else tone
    likeness = np.clip(np.maximum(own, 5) / np.maximum(tone, 5), 0.4, 1.7) ** scene.pick(0, 1)
    gain = likeness * scene.pick(0.75, 1.25) * (1 + rng.normal(0, 0.04, 3))
    layer, way = layer * gain, (marks[9] - marks[0]) / max(float(np.linalg.norm(marks[9] - marks[0])), 1e-3)
    if scene.chance(0.8):  # its arm, from where the crop that it comes from may have cut it
        width, root = palm * scale, marks[0] + way * palm * scale * 0.25
        elbow = marks[0] - way * 5 * unit + rng.normal(0, 0.8, 2) * unit
        flesh = tone * gain + noise(rng, 5) * scene.pick(1, 8)
        _limb(scene, [root, elbow], width * scene.pick(0.28, 0.38), flesh)
        if scene.chance(0.5):
            start = marks[0] - way * width * scene.pick(-0.1, 0.5)
            _limb(scene, [start, elbow], width * scene.pick(0.42, 0.65), texture(scene))
    if scene.chance(0.8):
        shift = (scene.pick(-2.5, 2.5), scene.pick(-1.5, 3))
        scene.shade(alpha, scene.edge * scene.pick(0.2, 1.2), shift, scene.pick(0.8, 3.5))
    scene.lay(layer, alpha, alpha)


def _resting(scene: Scene, alpha: Field, move: Transform, inward: Vector) -> Transform:
    """`move` shifted until something between a fiftieth and a third of what it shows lies before the face."""
    most = scene.pick(0.05, 0.35)
    for _ in range(14):
        there = cv2.warpAffine(alpha, move, (SIZE, SIZE)) > 0.5
        share = float((there & scene.face).sum() / max(float(there.sum()), 1.0))
        if 0.02 <= share <= most:
            break
        move = move + np.pad((inward if share < 0.02 else -inward)[:, None] * 2.5, ((0, 0), (2, 0)))
    return move


def _skin(scene: Scene) -> Field:
    """A layer of skin, of this face or of another -> float32 (128, 128, 3)."""
    rng = scene.rng
    picture, points = np.clip(scene.picture, 0, 255).astype(np.uint8), scene.points
    if scene.chance(0.2):
        picture, points = scene.other()
    x, y = points[int(rng.choice([50, 280, 151, 205, 425])), :2].round().astype(int)
    reach = int(rng.integers(5, 12))
    x, y = int(np.clip(x, reach, picture.shape[1] - reach)), int(np.clip(y, reach, picture.shape[0] - reach))
    patch = np.ascontiguousarray(picture[y - reach : y + reach, x - reach : x + reach]).astype(np.float32)
    tone = patch.mean((0, 1))
    patch = cv2.resize(patch, (40, 40), interpolation=cv2.INTER_CUBIC)
    patch = np.vstack([np.hstack([patch, patch[:, ::-1]]), np.hstack([patch[::-1], patch[::-1, ::-1]])])
    tiled = np.tile(patch, (2, 2, 1))[:SIZE, :SIZE]
    tone = np.clip(tone * scene.pick(0.75, 1.2) * (1 + rng.normal(0, 0.03, 3)), 5, 250)
    flush = noise(rng, 6) * np.array([1.0, 0.4, 0.4]) * scene.pick(0, 8)  # knuckles and tips are redder
    return tone + (tiled - tiled.mean((0, 1))) * scene.pick(0.2, 0.8) + noise(rng, 5) * scene.pick(1, 10) + flush


def _limb(scene: Scene, line: Sequence[Vector], radius: float, layer: Numbers) -> None:
    """A rounded, tapering tube along points, lit from one side."""
    points = np.array(line, float)
    canvas = np.zeros((SIZE * FINER, SIZE * FINER), np.uint8)
    steps = np.concatenate([np.linspace(a, b, 8, endpoint=False) for a, b in zip(points, points[1:], strict=False)])
    steps = np.concatenate([steps, points[-1:]])
    for i, step in enumerate(steps[:: 1 if len(steps) < 20 else 2]):
        taper = 1 - 0.22 * i / max(len(steps) - 1, 1)
        cv2.circle(canvas, _fine(step).tolist(), max(1, round(radius * taper * FINER)), 255, -1)
    cv2.polylines(canvas, [_fine(points)], False, 255, max(1, round(radius * 1.7 * FINER)))
    _rounded_lay(
        scene, cv2.resize(canvas, (SIZE, SIZE), interpolation=cv2.INTER_AREA).astype(np.float32) / 255, layer, radius
    )


def _flesh(scene: Scene, outline: Points, layer: Numbers, radius: float) -> None:
    _rounded_lay(scene, polygon_alpha([outline]), layer, radius)


def _rounded_lay(scene: Scene, alpha: Field, layer: Numbers, radius: float) -> None:
    """Lay something that bulges: dark towards its edge, lighter on the side of the light, its shadow beneath."""
    if not (alpha > 0.5).any():
        return
    inside = cv2.distanceTransform((alpha > 0.5).astype(np.uint8), cv2.DIST_L2, 3)
    depth = np.clip(inside / max(radius, 1), 0, 1)
    bulge = np.sqrt(1 - (1 - depth) ** 2)
    dy, dx = np.gradient(cv2.GaussianBlur(bulge, (0, 0), 1))
    side = (dx * np.cos(scene.from_side) + dy * np.sin(scene.from_side)) * radius
    shade = 1 - scene.edge * scene.pick(0.5, 1) * (1 - bulge) + scene.pick(0.05, 0.3) * np.clip(side, -1, 1)
    depth = scene.edge * scene.pick(0.5, 1)
    scene.shade(alpha, depth, (scene.pick(-2, 2), scene.pick(-1, 2.5)), scene.pick(0.8, 2.5))
    scene.lay(layer * shade[..., None], alpha, alpha)


def _nail(scene: Scene, points: Sequence[Vector], radius: float) -> None:
    a, b = np.array(points[-2], float), np.array(points[-1], float)
    way = (b - a) / max(np.linalg.norm(b - a), 1e-3)
    shape = polygon_alpha([blob(scene.rng, b - way * radius * 0.1, (radius * 0.5, radius * 0.6), 0.05)])
    colour = np.array([230, 190, 185]) if scene.chance(0.6) else any_colour(scene.rng)
    scene.lay(scene.lit(colour, 0.3), shape * scene.pick(0.2, 0.9), shape * 0)


# Things


def draw_microphone(scene: Scene) -> None:
    rng, unit = scene.rng, scene.unit
    mouth = scene.points[[13, 14], :2].mean(0)
    place = mouth + rng.normal(0, 0.4, 2) * unit + (0, scene.pick(0, 1.2) * unit)
    heading = scene.pick(0.15, 0.85) * np.pi if scene.chance(0.8) else scene.pick(-0.1, 1.1) * np.pi
    way = np.array([np.cos(heading), np.sin(heading)])
    radius = unit * scene.pick(0.14, 0.5)
    dull = any_colour(rng) * rng.choice([0.15, 0.4, 0.9], p=[0.6, 0.2, 0.2])
    end = place + way * scene.pick(2, 6) * unit
    if scene.chance(0.8):
        handle = dull * scene.pick(0.6, 1.4) + noise(rng, 12) * 4
        _limb(scene, [place + way * radius * 0.5, end], radius * scene.pick(0.35, 0.85), handle)
    if scene.hand is not None and scene.chance(0.35):
        _paste_hand(scene, place + way * radius * scene.pick(1.5, 4), scene.pick(0, 2 * np.pi))
    if scene.chance(0.15):  # a broadcaster's cube
        corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * radius * scene.pick(0.8, 1.3)
        shape = polygon_alpha([corners @ _turn(heading + rng.normal(0, 0.3)).T + place + way * radius * 2])
        scene.lay(texture(scene), shape, shape)
    x, y = np.meshgrid(np.arange(SIZE), np.arange(SIZE))
    mesh = (np.sin(x * scene.pick(1.2, 3)) * np.sin(y * scene.pick(1.2, 3)))[..., None] * scene.pick(0, 30)
    long = radius * scene.pick(1.0, 1.6)
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    head = np.stack([np.cos(angle) * long, np.sin(angle) * radius], 1) @ _turn(heading).T + place
    _flesh(scene, head, dull + mesh + noise(rng, 8) * scene.pick(1, 8), radius)
    if scene.chance(0.5):  # its gleam
        spot = polygon_alpha([blob(rng, place - radius * 0.35, (radius * 0.3, radius * 0.2))])
        scene.lay(np.full(3, 235.0), cv2.GaussianBlur(spot, (0, 0), 1.5) * scene.pick(0.1, 0.6), spot * 0)


def draw_thing(scene: Scene) -> None:
    """A cup, a phone, a book, a blob of anything."""
    rng, unit = scene.rng, scene.unit
    oval = scene.points[list(POLYGONS["oval"]), :2]
    place = oval[rng.integers(len(oval))] + rng.normal(0, 0.35, 2) * unit
    place = place + scene.pick(0, 0.8) * (scene.points[4, :2] - place)
    layer = texture(scene)
    kind = rng.random()
    if kind < 0.4:  # a cup, wider above
        w, h, taper = unit * scene.pick(0.4, 0.9), unit * scene.pick(0.5, 1.2), scene.pick(0.6, 1.0)
        corners = np.array([(-w, -h), (w, -h), (w * taper, h), (-w * taper, h)]) @ _turn(rng.normal(0, 0.3)).T + place
        across = np.linspace(-1, 1, SIZE)[None, :, None]
        _flesh(scene, corners, layer * (1 - across**2 * scene.pick(0, 0.4)), w * scene.pick(0.3, 1))
        rim = corners[:2].mean(0)
        ring = np.array([(np.cos(t) * w, np.sin(t) * w * 0.25) for t in np.linspace(0, 6.28, 30)]) + rim
        shape = polygon_alpha([ring])
        scene.lay(any_colour(rng), shape, shape)
    elif kind < 0.65:  # a flat thing with corners
        w, h = unit * scene.pick(0.3, 1.3), unit * scene.pick(0.3, 1.6)
        corners = np.array([(-w, -h), (w, -h), (w, h), (-w, h)]) @ _turn(rng.uniform(0, 3.14)).T + place
        shape = polygon_alpha([corners])
        scene.shade(shape, scene.pick(0, 0.4), (scene.pick(-3, 3), scene.pick(-1, 3)), scene.pick(0.8, 3))
        scene.lay(layer, shape, shape)
        if scene.hand is not None and scene.chance(0.5):
            _paste_hand(scene, corners[rng.integers(4)], heading=scene.pick(0, 2 * np.pi))
    else:
        outline = blob(rng, place, (unit * scene.pick(0.25, 1.1), unit * scene.pick(0.25, 1.1)), 0.25)
        _flesh(scene, outline, layer, unit * scene.pick(0.1, 0.8))


def draw_person(scene: Scene) -> None:
    """Another head, before this one."""
    if scene.head is None:
        return draw_thing(scene)
    rng, head = scene.rng, scene.head()
    angle, scale = rng.uniform(0, 2 * np.pi), scene.pick(0.75, 1.5)
    away = 28 + 40 * scale * scene.pick(0.5, 1.05)  # a face is about 28 wide from its middle, a head 40
    if scene.chance(0.8):
        angle = rng.choice([0, np.pi]) + rng.normal(0, 0.4)  # beside it
    move = cv2.getRotationMatrix2D((79.5, 79.5), rng.normal(0, 20), scale)
    move[:, 2] += np.array([np.cos(angle), np.sin(angle)]) * away - 16
    if scene.chance(0.5):
        head = head[:, ::-1]
    head = cv2.warpAffine(np.ascontiguousarray(head), move, (SIZE, SIZE))
    alpha = np.clip(head[..., 3] * 1.5 - 0.25, 0, 1)
    scene.shade(alpha, scene.pick(0, 0.3), (scene.pick(-3, 3), scene.pick(-1, 3)), 2.5)
    colour = head[..., :3] / np.maximum(head[..., 3:], 0.05)
    scene.lay(colour * scene.pick(0.6, 1.2) * (1 + rng.normal(0, 0.05, 3)), alpha, alpha)


def draw_hair(scene: Scene) -> None:
    """Strands from above over an eye or both."""
    rng, unit = scene.rng, scene.unit
    top = np.clip(scene.points[10, :2] - (0, 0.35 * unit), 2, SIZE - 3)
    sample = scene.picture[int(top[1]) - 2 : int(top[1]) + 3, int(top[0]) - 2 : int(top[0]) + 3].mean((0, 1))
    colour = sample if scene.chance(0.6) else any_colour(rng) * 0.5
    goal = scene.eyes[rng.integers(2)] + rng.normal(0, 0.3, 2) * unit
    root = top + (rng.normal(0, 1.0) * unit, scene.pick(-0.6, 0.2) * unit)
    end = goal + (goal - root) * scene.pick(0.3, 1.0)
    wide, lines = scene.pick(0.05, 0.4) * unit, []
    for _ in range(int(rng.integers(8, 40))):
        spread = rng.normal(0, wide, 2)
        bend = rng.normal(0, 0.12, 2) * unit + (goal + root) / 2 + (0, -0.1 * unit)
        t = np.linspace(0, 1, 12)[:, None]
        a, b, c = root + spread * 0.8, bend + spread * 0.9, goal + spread
        curve = (1 - t) ** 2 * a + 2 * t * (1 - t) * b + t**2 * c
        tail = c + (end - goal) * np.linspace(0.1, 1, 4)[:, None] + spread * 0.5
        lines.append((np.concatenate([curve, tail]), scene.pick(0.4, 1.6)))
    whole = polygon_alpha([], tuple(lines))
    alpha = np.clip(whole * 1.2, 0, 1)
    layer = colour * (1 + 0.25 * noise(rng, 40)) + scene.pick(-10, 20)
    region = cv2.morphologyEx((alpha > 0.35).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    scene.lay(layer, alpha * scene.pick(0.75, 1.0), region.astype(np.float32))


# Damage and drawings


def draw_strokes(scene: Scene) -> None:
    """Scratches, folds of an old print, pens, tape."""
    rng = scene.rng
    colour = np.full(3, scene.pick(190, 255)) if scene.chance(0.5) else any_colour(rng)
    for _ in range(int(rng.integers(1, 4))):
        steps = int(rng.integers(2, 9))
        turn = np.cumsum(rng.uniform(-0.9, 0.9, steps)) + rng.uniform(0, 6.3)
        moves = np.stack([np.cos(turn), np.sin(turn)], 1) * rng.uniform(6, 26, (steps, 1))
        start = scene.points[rng.integers(468), :2] - moves.sum(0) * rng.random()
        line = polygon_alpha([], ((np.vstack([start, start + np.cumsum(moves, 0)]), scene.pick(0.8, 7)),))
        layer = colour + noise(rng, 30) * scene.pick(0, 25)
        scene.lay(layer, line * scene.pick(0.75, 1.0), line)


def draw_stain(scene: Scene) -> None:
    rng, unit = scene.rng, scene.unit
    tint = any_colour(rng)
    for _ in range(int(rng.integers(1, 4))):
        place = scene.points[rng.integers(468), :2]
        shape = polygon_alpha([blob(rng, place, (unit * scene.pick(0.12, 0.6), unit * scene.pick(0.12, 0.6)), 0.3)])
        soft = cv2.GaussianBlur(shape, (0, 0), scene.pick(0.3, 2))
        veil = np.clip(1 + 0.3 * noise(rng, 12)[..., 0], 0.4, 1.3)
        scene.lay(tint + noise(rng, 8) * 8, np.clip(soft * veil * scene.pick(0.6, 1.0), 0, 1), soft)


def draw_text(scene: Scene) -> None:
    """A line of letters, a date, a watermark."""
    rng = scene.rng
    letters = "ABCDEFGHIKLMNOPRSTUVWXYZabcdefghiklmnoprstuvwxyz0123456789.:/-@ "
    words = "".join(letters[i] for i in rng.integers(0, len(letters), rng.integers(4, 22)))
    canvas = np.zeros((SIZE * FINER, SIZE * FINER), np.uint8)
    tall, font = scene.pick(0.6, 3.2), int(rng.choice([0, 1, 2, 3, 4, 6, 7]))
    if font == 1:
        tall *= 1.7
    thick = int(rng.integers(1, 8))
    place = scene.points[rng.integers(468), :2] * FINER
    (width, height), _ = cv2.getTextSize(words, font, tall, thick)
    x, y = int(place[0] - width * rng.random()), int(place[1] + height / 2)
    cv2.putText(canvas, words, (x, y), font, tall, 255, thick, cv2.LINE_AA)
    box = np.zeros_like(canvas)
    cv2.rectangle(box, (x, y - height), (x + width, y), 255, -1)
    turn = cv2.getRotationMatrix2D(tuple(place.tolist()), rng.normal(0, 18), 1.0)
    canvas, box = (
        cv2.resize(cv2.warpAffine(each, turn, each.shape), (SIZE, SIZE), interpolation=cv2.INTER_AREA).astype(
            np.float32
        )
        / 255
        for each in (canvas, box)
    )
    if scene.chance(0.3):  # on a bar
        wide = cv2.dilate(box, np.ones((3, 3), np.uint8))
        scene.lay(any_colour(rng), wide * scene.pick(0.5, 1.0), wide)
    colour = np.full(3, rng.choice([0, 255])) if scene.chance(0.6) else any_colour(rng)
    scene.lay(colour, canvas * scene.pick(0.35, 1.0), box)


def draw_sticker(scene: Scene) -> None:
    """A round face, a heart, a star, a bar of flowers: flat and bright."""
    rng, unit = scene.rng, scene.unit
    place, radius = scene.points[rng.integers(468), :2], unit * scene.pick(0.2, 0.9)
    angle, kind = np.linspace(0, 2 * np.pi, 60, endpoint=False), rng.integers(3)
    ring = np.stack([np.cos(angle), np.sin(angle)], 1)
    if kind == 1:
        ring = np.stack(
            [np.sin(angle) ** 3, -(13 * np.cos(angle) - 5 * np.cos(2 * angle) - 2 * np.cos(3 * angle)) / 16], 1
        )
    elif kind == 2:
        ring = ring * (0.7 + 0.3 * np.cos(int(rng.integers(4, 9)) * angle))[:, None]
    shape = polygon_alpha([ring @ _turn(rng.normal(0, 0.4)).T * radius + place])
    bright = rng.uniform(0, 255, 3)
    scene.lay(bright * (1 - 0.2 * np.linspace(0, 1, SIZE)[:, None, None]), shape, shape)
    if kind == 0:
        marks = [
            blob(rng, place + (x * radius, y * radius), (radius * 0.15, radius * 0.2), 0.05)
            for x, y in ((-0.35, -0.2), (0.35, -0.2))
        ]
        smile = np.stack([np.cos(angle[:30]), np.sin(angle[:30])], 1) * radius * 0.5 + place
        scene.lay(bright * 0.2, polygon_alpha(marks, ((smile, radius * 0.12),)), shape)
    if scene.chance(0.4):
        edge = cv2.morphologyEx(shape, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
        scene.lay(np.full(3, rng.choice([0, 255])), edge * 0.9, edge)


def draw_box(scene: Scene) -> None:
    """A censor's bar or a box: one colour, noise, mosaic or blur."""
    rng, unit = scene.rng, scene.unit
    if scene.chance(0.45):
        middle, way = scene.eyes.mean(0), scene.eyes[1] - scene.eyes[0]
        w, h = unit * scene.pick(0.8, 1.5), unit * scene.pick(0.2, 0.5)
        turn = np.arctan2(way[1], way[0]) + rng.normal(0, 0.05)
    else:
        middle, turn = scene.points[rng.integers(468), :2], (0 if scene.chance(0.7) else rng.uniform(0, 1.5))
        w, h = unit * scene.pick(0.25, 1.4), unit * scene.pick(0.25, 1.4)
    shape = polygon_alpha([np.array([(-w, -h), (w, -h), (w, h), (-w, h)]) @ _turn(turn).T + middle])
    kind = rng.choice(["flat", "noise", "mosaic", "blur"], p=[0.62, 0.1, 0.2, 0.08])
    if kind == "mosaic":
        cells = int(rng.integers(10, 26))
        small = cv2.resize(scene.picture, (cells, cells), interpolation=cv2.INTER_AREA)
        layer = cv2.resize(small, (SIZE, SIZE), interpolation=cv2.INTER_NEAREST)
    elif kind == "blur":
        layer = cv2.GaussianBlur(scene.picture, (0, 0), scene.pick(4, 10))
    elif kind == "noise":
        layer = any_colour(rng) + rng.normal(0, scene.pick(10, 60), (SIZE, SIZE, 3))
    else:
        layer = np.full(3, rng.choice([0, 127, 255])) if scene.chance(0.6) else any_colour(rng)
    scene.lay(layer, shape, shape)


def draw_flare(scene: Scene) -> None:
    """Light into the lens: a burnt-out spot."""
    rng, unit = scene.rng, scene.unit
    place = scene.points[rng.integers(468), :2]
    x, y = np.meshgrid(np.arange(SIZE), np.arange(SIZE))
    wide = unit * scene.pick(0.2, 0.5)
    spot = np.exp(-((x - place[0]) ** 2 + (y - place[1]) ** 2) / (2 * wide**2)).astype(np.float32) * scene.pick(
        1.1, 2.0
    )
    scene.lay(np.array([255, 250, 240]) + rng.normal(0, 8, 3), np.clip(spot, 0, 1), np.clip(spot - 0.35, 0, 1))


# What covers nothing


def draw_shadow(scene: Scene) -> None:
    """A cast shadow, or a light: dark or bright, and still this face."""
    rng, unit = scene.rng, scene.unit
    place = scene.points[rng.integers(468), :2] + rng.normal(0, 0.5, 2) * unit
    shape = polygon_alpha([blob(rng, place, (unit * scene.pick(0.4, 2.2), unit * scene.pick(0.3, 1.5)), 0.2)])
    soft = cv2.GaussianBlur(shape, (0, 0), scene.pick(1.5, 8))[..., None]
    factor = scene.pick(0.3, 0.75) if scene.chance(0.75) else scene.pick(1.2, 1.6)
    tint = 1 + rng.normal(0, 0.06, 3) if scene.chance(0.7) else rng.uniform(0.6, 1.2, 3)
    scene.picture = scene.picture * (1 + soft * (factor * tint - 1)).astype(np.float32)


OCCLUDERS: dict[str, tuple[Callable[[Scene], None], float]] = {  # and how often each is drawn
    "glasses": (draw_glasses, 0.2),
    "sunglasses": (draw_sunglasses, 0.08),
    "hand": (draw_hand, 0.33),
    "mask": (draw_mask, 0.05),
    "microphone": (draw_microphone, 0.11),
    "thing": (draw_thing, 0.06),
    "person": (draw_person, 0.09),
    "hair": (draw_hair, 0.03),
    "strokes": (draw_strokes, 0.04),
    "stain": (draw_stain, 0.02),
    "text": (draw_text, 0.03),
    "sticker": (draw_sticker, 0.015),
    "box": (draw_box, 0.03),
    "flare": (draw_flare, 0.005),
}
