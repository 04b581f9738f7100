"""The dense mesh of a face: 478 points with depth, and what follows from them. No torch.

The network is MediaPipe's face landmark detector with irises (Grishchenko et al. 2020, Apache-2.0), converted by
`python -m twoface.research.fitting.mediapipe`; `weights/NOTICE` says where it comes from. Its points have a fixed
meaning: 33 is always the outer corner of the eye on the picture's left. `weights/face_mesh.npz` holds the canonical
face (468 vertices, in centimetres, x right, y up, z towards the camera) and its 898 triangles; the last ten points are
the irises.
"""

from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources

import cv2
import numpy as np

from twoface.core.affine import apply, invert, scale_of, similarity_transform
from twoface.core.arrays import Indices, Mask, Matrix, Numbers, Picture, Points, Transform, Vector
from twoface.core.faces import TEMPLATE
from twoface.core.frame import SIZE, UPRIGHT, Frame
from twoface.core.mesh_shape import mesh_shape
from twoface.core.network import Network, asked, no_reference, open_session, planes

POINTS = 478
SIDE = 256  # pixels a side of what the network sees
REGION = Frame(64.5, 66.5, 126.0)  # of the 128 crop: shows an aligned face to it
ZOOM = 1.5  # the square's side by the face's larger extent, as the network was trained
PRESENT = 0.5  # below this a square shows no face
NARROW = 4.0  # crop pixels between an eye's corners: one turned away has no shape to speak of
# What hidden points are told by, 1 over the variance in square pixels of all together (their errors go together): where
# a first fill has them, where the reference's mesh has them, and the points that are seen.
TOLD = (0.5, 0.25, 10.0)
INVENTED = 0.25  # of the shape behind a hole: the first fill's share, the rest is the reference's
TOGETHER = 16.0  # crop pixels over which hidden points are moved alike, so that parts keep their shape
GREY = 127  # what a hole is filled with before the network looks
NEAR_ENOUGH, ABSURD = (0.11, 8.5, 7.0), (0.6, 60.0, 40.0)  # of a frame: log scale, degrees, crop pixels

# Closed polygons by the points' numbers; left and right as seen in the picture.
POLYGONS = {
    "oval": (
        *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377),
        *(152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109),
    ),
    "left_eye": (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246),
    "right_eye": (263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466),
    "left_brow": (46, 53, 52, 65, 55, 107, 66, 105, 63, 70),
    "right_brow": (276, 283, 282, 295, 285, 336, 296, 334, 293, 300),
    "lips": (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185),
    "mouth": (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191),
    "nose": (168, 193, 122, 196, 236, 198, 129, 64, 98, 97, 2, 326, 327, 294, 358, 420, 456, 419, 351, 417),
    "jaw": (234, 93, 132, 58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288, 361, 323, 454),
}
FOREHEAD = (  # its upper edge, and along the brows back
    (162, 21, 54, 103, 67, 109, 10, 338, 297, 332, 284, 251, 389),
    (300, 293, 334, 296, 336, 9, 107, 66, 105, 63, 70),
)
EYES = {"left_eye": ((33, 133), range(468, 473)), "right_eye": ((362, 263), range(473, 478))}  # corners and iris
EYE_CORNERS = tuple(corner for corners, _ in EYES.values() for corner in corners)
# Where the means of `LANDMARKS` lie in the training crops, as fractions of the crop: their median over 15,371 of them.
# `twoface.core.faces.TEMPLATE` is the same of MTCNN's landmarks, which lie elsewhere.
PLACES = np.array([(0.3697, 0.4576), (0.6052, 0.4573), (0.4868, 0.6097), (0.3861, 0.7139), (0.59, 0.714)])
LANDMARKS = ((33, 133), (362, 263), (1,), (61,), (291,))  # whose means are the five landmarks of `twoface.core.faces`


@dataclass(frozen=True)
class Pose:
    """Degrees. yaw: positive when the face looks to the picture's right; pitch: positive when it looks down;
    roll: positive when its head leans clockwise as seen.
    """

    yaw: float
    pitch: float
    roll: float


@dataclass(frozen=True)
class Mesh:
    """A face's dense landmarks.

    points: float64 (478, 3): x and y in pixels of the picture, and depth in the same unit, smaller is nearer the
    camera.
    presence: how sure the network is that there is a face, 0..1.
    """

    points: Points
    presence: float

    def moved(self, transform: Transform) -> "Mesh":
        """The mesh in another picture's pixels. transform: a 2x3 similarity, or one with a reflection."""
        return Mesh(moved(self.points, transform), self.presence)

    def polygon(self, name: str) -> Points:
        """The corners of a part of `POLYGONS` -> float64 (N, 2)."""
        return self.points[list(POLYGONS[name]), :2]

    @cached_property
    def pose(self) -> Pose:
        """How the head is turned, from the canonical face fitted to the points (Procrustes)."""
        canonical = canonical_face() * (1, -1, -1)  # as in a picture: y down, away from the camera
        rotation = procrustes(canonical, self.points[: len(canonical)])[1]
        pitch = np.arctan2(-rotation[1, 2], np.hypot(rotation[0, 2], rotation[2, 2]))
        yaw, roll = np.arctan2(-rotation[0, 2], rotation[2, 2]), np.arctan2(rotation[1, 0], rotation[1, 1])
        return Pose(*(float(v) for v in np.degrees([yaw, pitch, roll])))

    @cached_property
    def facing(self) -> Vector:
        """How far each point's surface faces the camera -> float64 (478,): 1 straight on, 0 edge on, below 0 away."""
        return facing(self.points)

    def eye_open(self, side: str) -> float:
        """The height of an eye's opening by its width; about .1 when closed, .3 when open. side: "left" or "right"."""
        upper, lower, outer, inner = {"left": (159, 145, 33, 133), "right": (386, 374, 263, 362)}[side]
        return _ratio(self.points, upper, lower, outer, inner)

    @property
    def mouth_open(self) -> float:
        """The height of the mouth's opening by its width: 0 when closed."""
        return _ratio(self.points, 13, 14, 78, 308)


class Mesher:
    """Finds meshes: of whole faces, and through holes. threads: as `twoface.core.network.open_session`."""

    def __init__(self, threads: int | None = None) -> None:
        self._whole = MeshNetwork(threads)
        self._through = open_session(resources.files("twoface") / "weights" / "see_through.onnx", threads)

    def find(self, pixels: Picture, frame: Frame) -> Mesh:
        """The mesh of a whole face, as of `MeshNetwork.find` -> Mesh in photo pixels."""
        return self._whole.find(pixels, frame)

    def through(self, aligned: Picture, unknown: Mask) -> Points:
        """The mesh of a face with a hole in it, at a glance -> float64 (478, 3), crop pixels.

        aligned: uint8 (128, 128, 3), the crop; unknown: bool (128, 128), the hole: what `aligned` holds there does not
        matter. The network is ours: `twoface.research.models.see_through`. It finds faces in frames that are far off.
        """
        image, mask = planes(aligned, unknown)
        return self._through.run(None, {"image": image, "mask": mask})[0][0].astype(np.float64)

    def shows_face(self, aligned: Picture, unknown: Mask) -> bool:
        """Whether a crop, its hole grey, shows a face. Arguments as of `through`."""
        points = self.through(aligned, unknown)
        grey = np.where(unknown[..., None], np.uint8(GREY), aligned)
        return self._whole.look(grey, region_of(points)).presence >= PRESENT

    def behind(self, aligned: Picture, unknown: Mask, network: Network) -> tuple[Picture, Points]:
        """A first fill of the hole, as of `invented`, and the mesh of the face in it, as of `aligned`.

        Ten times as slow as `through`, and nearer the truth in an aligned frame (`benchmarks/meshes.py`).
        """
        filled = invented(aligned, unknown, network)
        return filled, self.aligned(filled)

    def aligned(self, picture: Picture) -> Points:
        """The mesh of a whole face in its crop, uint8 (128, 128, 3) -> float64 (478, 3), crop pixels."""
        return self._whole.find(picture, UPRIGHT, passes=1).points


class MeshNetwork:
    """MediaPipe's network on ONNX Runtime. threads: as `twoface.core.network.open_session`."""

    def __init__(self, threads: int | None = None) -> None:
        self._session = open_session(resources.files("twoface") / "weights" / "mesh.onnx", threads)

    def find(self, pixels: Picture, frame: Frame, passes: int = 2) -> Mesh:
        """The mesh of the face that a frame shows -> Mesh in photo pixels.

        pixels: uint8 (H, W, 3) RGB. With two passes the second looks where the first found the face, so the frame
        need not be exact.
        """
        region = frame.inner(REGION)
        for _ in range(passes):
            mesh = self.look(pixels, region)
            region = region_of(mesh.points)
        return mesh

    def look(self, pixels: Picture, region: Frame) -> Mesh:
        """What one look at a square, as of `region_of`, gives -> Mesh in the picture's pixels."""
        picture = cut(pixels, region)
        points, presence = self._session.run(None, {"image": picture[None].astype(np.float32) / 255})
        points = moved(points.reshape(POINTS, 3).astype(np.float64), invert(region.transform(SIDE)))
        return Mesh(points, float(1 / (1 + np.exp(-presence.item()))))


def invented(aligned: Picture, unknown: Mask, network: Network) -> Picture:
    """A crop whose hole is filled without a reference -> uint8 (128, 128, 3).

    aligned, unknown: as of `Mesher.through`; network: what has a `run` as `twoface.core.network.FillModel`.
    """
    fill = asked(network.run, aligned, unknown, *no_reference())["fill"].transpose(1, 2, 0)
    return np.where(unknown[..., None], np.rint(fill * 255).astype(np.uint8), aligned.astype(np.uint8))


def moved(points: Points, transform: Transform) -> Points:
    """A mesh (478, 3) in another picture's pixels. transform: a 2x3 similarity, or one with a reflection."""
    return np.column_stack([apply(transform, points[:, :2]), points[:, 2] * scale_of(transform)])


def inside(points: Points, name: str) -> Mask:
    """Where a part of `POLYGONS` lies in the crop -> bool (128, 128). points: (478, 2 or 3), in crop pixels."""
    mask = np.zeros((SIZE, SIZE), np.uint8)
    cv2.fillPoly(mask, [points[list(POLYGONS[name]), :2].round().astype(np.int32)], 1)
    return mask.view(bool)


def region_of(points: Points) -> Frame:
    """The square that shows a face with these points to the network."""
    (x0, y0), (x1, y1) = points[33, :2], points[263, :2]
    angle = np.arctan2(y1 - y0, x1 - x0)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    upright = points[:, :2] @ turn.T
    low, high = upright.min(0), upright.max(0)
    x, y = (low + high) / 2 @ turn + 0.5
    return Frame(float(x), float(y), float(ZOOM * (high - low).max()), float(np.degrees(angle)))


def cut(pixels: Picture, region: Frame, border: int = cv2.BORDER_REFLECT_101) -> Picture:
    """A square of a picture -> uint8 (256, 256, 3); a larger one is shrunk by area first.

    border: OpenCV's, of what lies beyond the picture.
    """
    back, scale = invert(region.transform(SIDE)), region.side / SIDE
    if scale > 2:
        corners = apply(back, [(0, 0), (SIDE, 0), (SIDE, SIDE), (0, SIDE)])
        low = np.clip(np.floor(corners.min(0)).astype(int) - 4, 0, np.array(pixels.shape[1::-1]) - 1)
        high = np.clip(np.ceil(corners.max(0)).astype(int) + 4, low + 1, pixels.shape[1::-1])
        part = pixels[low[1] : high[1], low[0] : high[0]]
        size = np.maximum(1, np.round(np.array(part.shape[1::-1]) / scale)).astype(int)
        factor = size / np.array(part.shape[1::-1])
        pixels = cv2.resize(part, size.tolist(), interpolation=cv2.INTER_AREA)
        back = np.diag(factor) @ back
        back[:, 2] -= factor * low - (factor - 1) / 2
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(pixels, back, (SIDE, SIDE), flags=flags, borderMode=border)


def to_template(points: Points) -> Transform:
    """What moves a mesh (478, 3) in crop pixels to where an aligned face lies -> 2x3 similarity, crop -> crop."""
    landmarks = [points[list(each), :2].mean(0) for each in LANDMARKS]
    return similarity_transform(landmarks, PLACES * SIZE)


def corrected(frame: Frame, points: Points) -> Frame:
    """The frame that fits a face, the one given where that is near enough.

    points: (478, 3), the face's mesh in the crop of the frame given. A frame that is off by more than what a mesh seen
    through a hole errs by is replaced; one that is off beyond all reason is kept, for then it is the mesh that errs.
    """
    fits = Frame.of_transform(to_template(points))
    shift = np.hypot(fits.x - UPRIGHT.x, fits.y - UPRIGHT.y) / fits.detail
    off = (abs(np.log(fits.detail)), abs(fits.angle), shift)
    near = all(each < most for each, most in zip(off, NEAR_ENOUGH, strict=True))
    absurd = any(each > most for each, most in zip(off, ABSURD, strict=True))
    return frame if near or absurd else frame.inner(fits)


def procrustes(source: Points, target: Points, weight: Vector | None = None) -> tuple[float, Matrix, Vector]:
    """The 3D similarity that brings points nearest to others (Umeyama 1991, weighted) -> scale, rotation, shift.

    source, target: (N, 3); weight: (N,). target is about scale * source @ rotation.T + shift.
    """
    weight = np.full(len(source), 1 / len(source)) if weight is None else weight / weight.sum()
    mean_s, mean_t = weight @ source, weight @ target
    a, b = source - mean_s, target - mean_t
    u, spread, vt = np.linalg.svd((weight[:, None] * a).T @ b)
    sign = np.array([1, 1, np.sign(np.linalg.det(vt.T @ u.T))])
    rotation = (vt.T * sign) @ u.T
    scale = (spread * sign).sum() / (weight @ (a**2).sum(1))
    return scale, rotation, mean_t - scale * rotation @ mean_s


def fitted(reference: Points, points: Points, known: Vector, reach: float = 10.0) -> Points:
    """Another mesh of the person, moved onto what is known of this one -> float64 (478, 3).

    reference, points: (478, 3). known: (478,), how much each of `points` is believed, 0..1. A 3D similarity moves the
    reference's mesh (ASFFNet moves landmarks alike, Li et al. 2020); then what it misses at the known points is spread
    smoothly, over `reach` pixels.
    """
    scale, rotation, shift = procrustes(reference, points, np.maximum(known, 1e-3))
    moved = scale * reference @ rotation.T + shift
    near = _nearness(moved, reach) * known
    return moved + near @ (points - moved) / (near.sum(1, keepdims=True) + 0.3)


def with_reference(points: Points, reference: Points, unknown: Mask) -> Points:
    """A mesh seen through a hole, bettered by another of the person -> float64 (478, 3), crop pixels.

    The shape of what is in the hole is mostly the reference's, and the eyes' altogether: they are as open as there.
    Where it lies is what `MeshShape` makes one expect of both and of what is seen.
    points: (478, 3), in crop pixels; reference: (478, 3), in its own; unknown: bool (128, 128), the hole.
    """
    x, y = points[:, :2].round().astype(int).clip(0, len(unknown) - 1).T
    hidden = unknown[y, x]
    if not hidden.any():
        return points
    expected = fitted(reference, points, (~hidden).astype(float))
    better = np.where(hidden[:, None], INVENTED * points + (1 - INVENTED) * expected, points)
    better[:, :2] += _to_likely(points, expected, better, hidden)
    for eye in EYES:  # an invented one is soft, and looks nearly shut: .16 open on average where eyes are .29
        better = _with_eye_of(expected, better, eye)
    return np.where(hidden[:, None], better, points)


def _to_likely(points: Points, expected: Points, better: Points, hidden: Mask) -> Points:
    """By how much the hidden points of a mesh are to be moved -> float64 (478, 2), crop pixels.

    points, expected, better: (478, 3), as of `with_reference`; hidden: bool (478,).
    """
    found, other, seen = TOLD
    both = (found * points + other * expected) / (found + other)
    weight = np.where(hidden, (found + other) / hidden.sum(), seen / max((~hidden).sum(), 1))
    nearer = mesh_shape().likely(np.where(hidden[:, None], both, points)[:, :2], weight) - better[:, :2]
    near = _nearness(better[hidden], TOGETHER)
    moves = np.zeros_like(nearer)
    moves[hidden] = near @ nearer[hidden] / near.sum(1, keepdims=True)
    return moves


def _nearness(points: Points, reach: float) -> Matrix:
    """How near points (N, 3) lie to each other in the plane, a Gaussian of deviation `reach` -> float64 (N, N)."""
    flat = points[:, :2] / (np.sqrt(2) * reach)
    square = (flat**2).sum(1)
    return np.exp(2 * flat @ flat.T - square[:, None] - square)


def _with_eye_of(other: Points, points: Points, eye: str) -> Points:
    """A mesh (478, 3) with an eye as it is in another, moved in the plane to its own corners. eye: of `EYES`."""
    corners, iris = EYES[eye]
    own, others = points[list(corners), :2], other[list(corners), :2]
    if min(np.linalg.norm(own[1] - own[0]), np.linalg.norm(others[1] - others[0])) < NARROW:
        return points
    inside_it = [*POLYGONS[eye], *iris]
    shaped = points.copy()
    shaped[inside_it, :2] = apply(similarity_transform(others, own), other[inside_it, :2])
    return shaped


def facing(points: Points) -> Vector:
    """The z part of each point's normal, towards the camera -> float64 (478,); of the irises: 1."""
    corners = points[triangles()]
    normal = np.cross(corners[:, 2] - corners[:, 0], corners[:, 1] - corners[:, 0])
    total = np.zeros((len(points), 3))
    for corner in range(3):
        np.add.at(total, triangles()[:, corner], normal)
    result = np.ones(len(points))
    count = len(canonical_face())
    length = np.linalg.norm(total[:count], axis=1)
    result[:count] = total[:count, 2] / np.maximum(length, 1e-12)
    return result


@cache
def canonical_face() -> Points:
    """float64 (468, 3), centimetres: x to the picture's right, y up, z towards the camera."""
    return _topology()["vertices"].astype(np.float64)


@cache
def triangles() -> Indices:
    """int (898, 3): the points' numbers at the corners of each triangle."""
    return _topology()["triangles"].astype(int)


@cache
def mirrored() -> Indices:
    """int (478,): for each point the one on the other half of the face."""
    vertices = canonical_face()
    distance = np.linalg.norm(vertices[:, None] * (-1, 1, 1) - vertices, axis=-1)
    return np.concatenate([distance.argmin(1), [473, 476, 475, 474, 477, 468, 471, 470, 469, 472]])


@cache
def _topology() -> dict[str, Numbers]:
    return dict(np.load(str(resources.files("twoface") / "weights" / "face_mesh.npz")))


def _ratio(points: Points, upper: int, lower: int, outer: int, inner: int) -> float:
    return float(np.linalg.norm(points[upper] - points[lower]) / np.linalg.norm(points[outer] - points[inner]))


def template_mesh() -> Points:
    """The canonical face in the 128 crop, looking straight ahead -> float64 (478, 3); irises at the eyes' middles."""
    face = canonical_face() * (1, -1, -1)
    eyes = np.array([face[list(pair)].mean(0) for pair in ((33, 133), (362, 263))])
    points = np.concatenate([face, np.repeat(eyes, 5, 0)])
    goal = TEMPLATE[:2] * SIZE
    scale = (goal[1, 0] - goal[0, 0]) / (eyes[1, 0] - eyes[0, 0])
    points = points * scale
    points[:, :2] += goal.mean(0) - eyes[:, :2].mean(0) * scale
    return points
