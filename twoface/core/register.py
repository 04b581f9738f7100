"""Register one photo of a face to another by their meshes: where each place of the crop lies in the reference photo.

Pure geometry: points in, a smooth map and how far to trust it out; no photo, no network. The map is a thin-plate spline
(Bookstein 1989) through mesh points that the photo shows; ASFFNet (Li et al. 2020) warps its reference alike, by moving
least squares through landmarks.
"""

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from twoface.core.arrays import Field, Indices, Matrix, Numbers, Places, Points, Vector
from twoface.core.blas import one_blas_thread
from twoface.core.frame import SIZE
from twoface.core.mesh import POLYGONS, canonical_face, facing, template_mesh

GRID = 33  # nodes a side, over the crop's pixels 0..127
CONTROLS = 96  # spread evenly over the face, besides the eyes' and lips' outlines
STIFFNESS = 0.03  # how far the spline may miss a point: noise of the mesh is not to fold it
NEAR, FAR = 5.0, 12.0  # crop pixels beyond the points: where the spline starts to fade to the affine fit, and how fast
SEEN = 0.05  # facing: a point turned further away than this is not used
EDGE_ON, FRONTAL = 0.10, 0.40  # facing in the reference: not trusted at all, and fully
STRETCHED, PLAIN = 0.12, 0.40  # the map's area by that of the affine fit: the same
BEYOND = 10.0  # crop pixels over which trust fades outside the face


@dataclass(frozen=True)
class Registration:
    """map: float32 (33, 33, 2), where the crop's places (x, y of 0..127 in even steps) lie in the reference's pixels.
    trust: float32 (33, 33), 0..1: how far the reference shows there what the photo would.
    """

    map: Places
    trust: Field


@one_blas_thread()
def register(points: Points, reference: Points) -> Registration:
    """points: (478, 3), the photo's mesh in crop pixels. reference: (478, 3), the reference's, in its own pixels.

    Where the reference's face is turned away the map is smeared, and trust is low. The mirrored half
    would be better there, and the network's synthesis is better still (`benchmarks/hidden_half.py`).
    """
    controls, visible = _controls(), facing(points) > SEEN
    chosen = controls[visible[controls]]
    if len(chosen) < 24:  # a profile that shows next to nothing
        chosen = controls
    source, goal = points[chosen, :2], reference[chosen, :2]
    spline, affine, distance = _spline(source, goal)
    nearest = np.sqrt(distance.min(1))
    fade = np.exp(-np.maximum(nearest - NEAR, 0) / FAR)[:, None]
    places = affine + fade * (spline - affine)
    trust = _trust(points, reference, chosen, distance)
    grid = places.reshape(GRID, GRID, 2)
    trust = trust.reshape(GRID, GRID) * _sound(grid, affine.reshape(GRID, GRID, 2))
    return Registration(grid.astype(np.float32), trust.astype(np.float32))


def at_places(grid: Places, places: Numbers) -> Places:
    """A map over the crop's pixels 0..127 -> its values at places (H, W, 2) of the crop frame, float32, cubic.

    OpenCV looks up at 32nds of a node, so only what differs from an affine map is looked up.
    """
    places = places.astype(np.float32, copy=False)
    across, down = (grid[0, -1] - grid[0, 0]) / (SIZE - 1), (grid[-1, 0] - grid[0, 0]) / (SIZE - 1)
    affine = np.column_stack([across, down, grid[0, 0]])
    bend = grid - cv2.transform(_grid().reshape(GRID, GRID, 2).astype(np.float32), affine)
    nodes = places * np.float32((GRID - 1) / (SIZE - 1))
    looked_up = cv2.remap(bend, nodes, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return cv2.transform(places, affine) + looked_up


def enlarged(trust: Field) -> Field:
    """Trust over the crop's pixels 0..127 -> at all of them, float32 (128, 128) in [0, 1]."""
    nodes = pixels() * np.float32((GRID - 1) / (SIZE - 1))
    return cv2.remap(trust, nodes, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def pixels_per_crop_pixel(grid: Places) -> float:
    """How many pixels of the reference one of the crop's is, by the map's whole extent."""
    across, down = grid[:, -1].mean(0) - grid[:, 0].mean(0), grid[-1].mean(0) - grid[0].mean(0)
    return float(np.sqrt(abs(across[0] * down[1] - across[1] * down[0])) / (SIZE - 1))


@cache
def pixels() -> Places:
    """The crop's pixels as places -> float32 (128, 128, 2)."""
    along = np.arange(SIZE, dtype=np.float32)
    return np.stack(np.meshgrid(along, along), -1)


def _spline(source: Points, goal: Points) -> tuple[Points, Points, Matrix]:
    """-> the spline and the affine fit at the grid's places, (1089, 2) each, and squared distances (1089, N)."""
    unit = SIZE / 2
    a = source / unit - 1
    kernel = _radial(_squares(a, a)) + STIFFNESS * np.eye(len(a))
    flat = np.column_stack([np.ones(len(a)), a])
    system = np.block([[kernel, flat], [flat.T, np.zeros((3, 3))]])
    weights = np.linalg.solve(system, np.concatenate([goal, np.zeros((3, 2))]))
    grid = _grid() / unit - 1
    distance = _squares(grid, a)
    level = np.column_stack([np.ones(len(grid)), grid])
    spline = _radial(distance) @ weights[: len(a)] + level @ weights[len(a) :]
    affine = level @ np.linalg.lstsq(flat, goal, rcond=None)[0]
    return spline, affine, distance * unit**2


def _trust(points: Points, reference: Points, chosen: Indices, distance: Matrix) -> Vector:
    """How far the reference shows the places of the grid: turned towards the camera, and on the face -> (1089,)."""
    shown = np.clip((facing(reference)[chosen] - EDGE_ON) / (FRONTAL - EDGE_ON), 0, 1)
    near = np.exp(-distance / (2 * 5.0**2)) + 1e-9
    oval = points[list(POLYGONS["oval"]), :2]
    inside = np.zeros((SIZE, SIZE), np.uint8)
    cv2.fillConvexPoly(inside, cv2.convexHull(np.rint(oval * 16).astype(np.int32)), 1, shift=4)
    outside = cv2.distanceTransform(1 - inside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    x, y = _grid().round().astype(int).T
    return near @ shown / near.sum(1) * np.exp(-np.maximum(outside[y, x] - 1, 0) / BEYOND)


def _sound(grid: Numbers, affine: Numbers) -> Matrix:
    """Trust falls where the map folds or squeezes much of the crop into little of the reference -> (33, 33)."""

    def area(places: Numbers) -> Matrix:
        (dy, dx) = np.gradient(places, axis=(0, 1))
        return dx[..., 0] * dy[..., 1] - dx[..., 1] * dy[..., 0]

    whole = np.abs(area(affine)) + 1e-9
    return np.clip((area(grid) / whole - STRETCHED) / (PLAIN - STRETCHED), 0, 1)


@cache
def _controls() -> Indices:
    """The points that the spline goes through: eyes, lips, irises, and others spread evenly (farthest first)."""
    outlines = [point for name in ("left_eye", "right_eye", "lips", "mouth") for point in POLYGONS[name][::2]]
    face = template_mesh()[: len(canonical_face()), :2]
    chosen = [1]
    distance = np.linalg.norm(face - face[1], axis=1)
    while len(chosen) < CONTROLS:
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, np.linalg.norm(face - face[chosen[-1]], axis=1))
    return np.array(sorted({*chosen, *outlines, 468, 473}))


@cache
def _grid() -> Points:
    along = np.linspace(0, SIZE - 1, GRID)
    return np.stack(np.meshgrid(along, along), -1).reshape(-1, 2)


def _squares(a: Matrix, b: Matrix) -> Matrix:
    return np.maximum((a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T, 0)


def _radial(squares: Matrix) -> Matrix:
    return squares * np.log(squares + 1e-6)
