"""What the photographic core gives, to the pixel: on the sample photos, and on faces that are drawn here.

The drawn faces are formulas: at any frame the true picture is known, so a fill is compared with the truth and not with
what an earlier version gave. Where a picture differs, both and their difference are written to the test's folder.
"""

import cv2
import numpy as np
import pytest
from fakes import FakeDetector, FakeEmbedder, FakeMesher, FakeOcclusion, placed_face, straight, with_texture

from twoface import Inpainter
from twoface.core.affine import apply
from twoface.core.blend import MAX_SEAM, render, seam_correction, smoothed
from twoface.core.detect import FaceDetector
from twoface.core.frame import Frame
from twoface.core.identity import threshold_for
from twoface.core.images import read_photo
from twoface.core.masks import box_hole, feather
from twoface.core.mesh import Mesher
from twoface.core.mtcnn import Mtcnn
from twoface.core.network import OUTPUT_SHAPES
from twoface.core.parts import named_hole

PHOTO, REFERENCE = Frame.of((70, 40, 326, 296)), Frame.of((30, 60, 350, 380, -12))
SHAPE = (340, 400)


@pytest.fixture
def same(tmp_path):
    """same(found, wanted, levels): two pictures, uint8 (H, W, 3), or a part of them, differ by so much at most."""

    def compare(found, wanted, levels, where=True):
        off = np.abs(found.astype(int) - wanted) * np.broadcast_to(where, found.shape[:2])[..., None]
        if off.max() <= levels:
            return
        path = tmp_path / "difference.png"
        seen = np.concatenate([found, wanted, np.clip(off * (255 // max(off.max(), 1)), 0, 255)], 1).astype(np.uint8)
        cv2.imwrite(str(path), seen[..., ::-1])
        y, x = np.unravel_index(off.max(-1).argmax(), off.shape[:2])
        pytest.fail(f"off by {off.max()} levels at ({x}, {y}), {levels} are allowed; found, wanted, difference: {path}")

    return compare


def drawn(frame, shape=SHAPE, colour=(1.0, 0.0)):
    """A face in this frame, float (H, W, 3), 0..1: gain and offset of its colours are given."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    u, v = np.moveaxis(apply(frame.transform(), np.stack([x, y], -1)), -1, 0)

    def spot(at_u, at_v, wide, high):
        return np.exp(-(((u - at_u) / wide) ** 2) - ((v - at_v) / high) ** 2)[..., None]

    picture = np.full((*shape, 3), (0.30, 0.36, 0.42)) + 0.06 * np.sin(u / 15)[..., None] * (1, 0.5, -1)
    picture += (np.array((0.72, 0.56, 0.48)) - picture) * np.clip(1.5 * spot(62, 70, 44, 56), 0, 1) ** 2
    picture += spot(74, 80, 16, 24) * (0.10, 0.08, 0.05)  # a cheek in the light
    for at in (47.4, 77.5):
        picture += spot(at, 58.6, 9, 4.5) * (-0.40, -0.32, -0.26)
    return colour[0] * (picture + spot(62, 91, 13, 4.5) * (-0.08, -0.28, -0.25)) + colour[1]


def levels(picture):
    return np.rint(255 * np.clip(picture, 0, 1)).astype(np.uint8)


@pytest.fixture
def fill(network):
    """fill(photo, reference, ...): the whole walk with a network of constant fields, and a face at `PHOTO`."""

    def run(photo, reference=None, fields=None, **options):
        parts = FakeDetector(placed_face(PHOTO)), FakeEmbedder(), FakeMesher(), FakeOcclusion()
        frame = {} if reference is None else {"reference": reference, "reference_face": (30, 60, 350, 380, -12)}
        return Inpainter(network(**fields or {}), *parts).fill(photo, same_photo=True, **frame, **options)

    return run


# The sample photos


@pytest.fixture(scope="module")
def found(samples):
    """{name: pixels, Face, Mesh} of the portraits."""
    detector, mesher, seen = FaceDetector(threads=1), Mesher(threads=1), {}
    for name in ("photo", "reference"):
        pixels = read_photo(samples / f"{name}.jpg").pixels
        (face,) = detector.detect(pixels)
        seen[name] = pixels, face, mesher.find(pixels, face.frame)
    return seen


LANDMARKS = {
    "photo": [(206.1, 103.5), (248.8, 105.4), (226.5, 130.9), (204.4, 143.2), (247.1, 144.3)],
    "reference": [(209.5, 110.4), (247.5, 104.3), (232.3, 131.3), (214.1, 144.8), (253.5, 138.8)],
}
FRAMES = {"photo": (143.7, 25.6, 310.5, 192.3, 2.3), "reference": (153.2, 35.6, 304.6, 187.0, -8.9)}
MESHES = {  # nose, eye corners from left to right, mouth corners, chin, forehead, cheeks, irises: x, y, depth
    "photo": [
        *((223.3, 131.3, -23.3), (195.3, 100.5, 3.9), (213.5, 103.4, 0.2), (236.7, 104.7, -0.4), (255.6, 103.7, 2.7)),
        *((202.4, 139.2, 8.5), (244.5, 140.7, 7.8), (220.9, 178.6, 11.3), (226.1, 70.4, -13.2)),
        *((180.2, 108.7, 41.8), (270.8, 113.5, 39.8), (203.5, 100.9, 0.1), (246.6, 103.2, 0.1)),
    ],
    "reference": [
        *((230.3, 131.0, -21.1), (199.2, 109.8, 3.0), (216.1, 108.9, -0.1), (236.6, 105.6, -0.2), (252.6, 101.4, 2.9)),
        *((212.3, 141.4, 7.7), (249.8, 136.3, 7.6), (236.4, 172.8, 10.1), (221.9, 78.1, -12.3)),
        *((185.6, 120.5, 36.9), (267.5, 107.8, 36.7), (207.2, 108.1, 0.2), (245.5, 102.1, -0.1)),
    ],
}
POSES = {"photo": (-1.7, 11.3, 3.1), "reference": (2.0, 11.3, -9.0)}


@pytest.mark.parametrize("name", LANDMARKS)
def test_landmarks_and_frames_of_the_samples(found, name):
    _, face, _ = found[name]
    assert np.abs(face.landmarks - LANDMARKS[name]).max() < 0.3 and face.score > 0.999
    assert face.frame.numbers == pytest.approx(FRAMES[name], abs=0.5)


@pytest.mark.parametrize("name", MESHES)
def test_meshes_of_the_samples(found, name):
    _, _, mesh = found[name]
    points = mesh.points[[1, 33, 133, 362, 263, 61, 291, 152, 10, 234, 454, 468, 473]]
    assert np.abs(points - MESHES[name]).max() < 0.6 and mesh.presence > 0.999
    assert (mesh.pose.yaw, mesh.pose.pitch, mesh.pose.roll) == pytest.approx(POSES[name], abs=0.5)
    assert mesh.eye_open("left") == pytest.approx(0.36, abs=0.02)
    assert mesh.eye_open("right") == pytest.approx(0.35, abs=0.02)
    assert mesh.mouth_open == pytest.approx(0.199, abs=0.02)


# Frames and crops


@pytest.mark.parametrize("zoom", [1, 2.5])
@pytest.mark.parametrize("degrees", [0, 30])
def test_a_crop_looks_over_its_edge(same, zoom, degrees):
    """What is cut out of the photo first has a margin: the crop is the whole photo's, up to its last pixel."""
    side = 128 * zoom
    frame = Frame.of((90.5, 80.25, 90.5 + side, 80.25 + side, degrees))
    photo = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (520, 520, 3), np.uint8), (0, 0), 1.5 * zoom)
    x0, y0, x1, y1 = frame.window(photo.shape)
    corners = frame.corners()
    assert corners.min(0) - (x0, y0) == pytest.approx(4.5 + 4 * zoom, abs=0.5)
    assert (x1, y1) - corners.max(0) == pytest.approx(4.5 + 4 * zoom, abs=0.5)
    smooth = photo if zoom == 1 else cv2.boxFilter(photo, -1, (round(zoom), round(zoom)))
    wanted = cv2.warpAffine(smooth, frame.transform(), (128, 128), flags=cv2.INTER_CUBIC)
    same(frame.crop(photo), wanted, 1 if zoom == 1 else 9)


# Whole fills


@pytest.mark.parametrize("hole", ["eyes", "mouth", (150, 120, 240, 230)])
def test_a_fill_from_a_turned_darker_reference_is_the_truth(fill, same, hole):
    """The reference lies otherwise, finer and darker; the network gives its colours back."""
    truth = levels(drawn(PHOTO))
    reference = levels(drawn(REFERENCE, (440, 400), (0.8, 0.05)))
    result = fill(truth, reference, {"gain": 1.25, "offset": -0.0625}, hole=hole, feather=0)
    assert result.hole.sum() > 2000
    same(result.photo.pixels, truth, 2)


def test_what_the_hole_covered_does_not_show(fill, same):
    truth, hole = levels(drawn(PHOTO)), box_hole((160, 130, 230, 200), SHAPE)
    covered = np.where(hole[..., None], np.uint8((0, 255, 0)), truth)
    reference = levels(drawn(REFERENCE, (440, 400)))
    same(fill(covered, reference, mask=hole).photo.pixels, truth, 3)


def test_a_feathered_rim_is_a_smooth_mixture(fill, same):
    """Half of the way out the photo and the fill are mixed by the smoothstep of the distance."""
    truth, hole, wide = levels(drawn(PHOTO)), box_hole((150, 120, 240, 200), SHAPE), 12
    blank = np.zeros_like(truth)  # a reference that shows no face: black
    result = fill(truth, blank, mask=hole, feather=wide).photo.pixels
    alpha = feather(hole, wide)[..., None]
    ring = (alpha[..., 0] > 0) & ~hole
    inner = np.abs(result.astype(int) - truth)[hole].mean()
    assert inner > 60  # black it is, but for the seam
    mixed = (truth - result.astype(float))[ring].mean(-1)
    for low, high in ((0.05, 0.3), (0.3, 0.7), (0.7, 0.95)):
        part = (alpha[ring][:, 0] > low) & (alpha[ring][:, 0] < high)
        assert mixed[part].mean() > 0
    same(np.where(alpha == 0, result, truth), truth, 0)


# The seam


@pytest.mark.parametrize("error", [0.06, -0.06])
def test_an_error_of_colour_is_gone_at_the_seam_and_stays_within(fill, error):
    truth, hole = levels(drawn(PHOTO)), box_hole((146, 116, 250, 220), SHAPE)
    result = fill(truth, levels(drawn(REFERENCE, (440, 400))), {"offset": error}, mask=hole)
    off = (result.photo.pixels.astype(float) - truth).mean(-1)
    depth = cv2.distanceTransform(hole.astype(np.uint8), cv2.DIST_L2, 5)
    rim, middle = off[(depth > 0) & (depth < 2)], off[depth > 44]
    assert np.abs(rim).mean() < 4 and middle.mean() == pytest.approx(255 * error, rel=0.25)


def test_the_seam_is_mended_by_a_fifth_of_the_range_at_most():
    hole, seen = box_hole((40, 40, 88, 88), (128, 128)), box_hole((38, 38, 90, 90), (128, 128))
    white, dark = np.full((128, 128, 3), 255, np.uint8), np.full((3, 128, 128), 0.3, np.float32)
    mended = seam_correction(white, dark, hole, seen)
    assert MAX_SEAM == 0.2 and mended[64, 39, 0] == pytest.approx(0.2, abs=1e-4)
    assert mended[64, 40:52, 0] == pytest.approx(0.2 * np.exp(-np.arange(1, 13) / 8), abs=1e-3)
    assert not mended[64, 60:68].any()  # so deep it knows of no error


# Texture and grain


def fields(**values):
    given = {"flow": 0.0, "gain": 1.0, "offset": 0.0, "weight": 1.0} | values
    shapes = {name: OUTPUT_SHAPES[name] for name in given}
    made = {name: np.full(shapes[name], value, np.float32) for name, value in given.items()}
    return made | {"synthesis": np.full((3, 128, 128), 0.5, np.float32), "within": np.ones((128, 128), np.float32)}


@pytest.mark.parametrize(
    ("weight", "gain", "contrast"),
    [(1.0, 1.0, 1.0), (1.0, 0.6, 1.0), (0.5, 1.0, 1.0), (0.3, 1.0, 0.5), (0.1, 1.0, 0.1)],
)
def test_the_references_texture_comes_back(weight, gain, contrast):
    """Fine stripes of a reference come to their own contrast where enough is taken of it, else as little as it is."""
    y, x = np.mgrid[:512, :512]
    stripes = np.repeat((128 + 20 * np.sin(x * np.pi / 3))[..., None], 3, -1).round().astype(np.uint8)
    frame, given = Frame.of((0, 0, 512, 512)), fields(weight=weight, gain=gain)
    reference = stripes, straight(frame)
    places = apply(frame.transform(), np.stack(np.meshgrid(np.arange(200, 300), np.arange(200, 300)), -1))
    fill = render(given, places, reference, 4, smoothed(given, reference, 4))
    wanted = 20 / 255 / 2**0.5 * (max(contrast, weight * gain) if contrast != 0.5 else 0.3 * 0.5 + 0.5 * 0.3 + 0.2)
    assert fill[..., 0].std() == pytest.approx(wanted, rel=0.08)


def test_texture_comes_back_inside_the_face_alone():
    y, x = np.mgrid[:512, :512]
    stripes = np.repeat((128 + 20 * np.sin(x * np.pi / 3))[..., None], 3, -1).round().astype(np.uint8)
    frame, given = Frame.of((0, 0, 512, 512)), fields(gain=0.6)
    given["within"] = np.tile((np.arange(128) < 64).astype(np.float32), (128, 1))
    reference = stripes, straight(frame)
    places = apply(frame.transform(), np.stack(np.meshgrid(np.arange(512), np.arange(200, 300)), -1))
    fill = render(given, places, reference, 4, smoothed(given, reference, 4))[..., 0]
    inside, outside = fill[:, 100:220].std(), fill[:, 300:420].std()
    assert outside == pytest.approx(0.6 * inside, rel=0.03) and inside == pytest.approx(20 / 255 / 2**0.5, rel=0.05)


def test_grain_is_what_lacks_and_no_more():
    rng, hole = np.random.default_rng(0), box_hole((30, 30, 170, 170), (200, 200))

    def noise(deviation):
        return np.float32(0.5) + rng.normal(0, deviation, (200, 200, 1)).astype(np.float32).repeat(3, 2)

    photo = noise(0.05)
    for has in (0.0, 0.02, 0.04):
        assert with_texture(noise(has), hole, photo, ~hole, 4)[hole].std() == pytest.approx(0.05, rel=0.05)
    half_again = noise(0.07)
    assert np.array_equal(with_texture(half_again, hole, photo, ~hole, 4), half_again)
    assert with_texture(noise(0.0), hole, noise(0.4), ~hole, 4)[hole].std() == pytest.approx(0.16, rel=0.05)


def test_the_grain_is_drawn_by_its_seed():
    """To the pixel: a fill that is made again is the same fill."""
    photo = np.float32(0.5) + 0.05 * np.random.default_rng(1).standard_normal((64, 64, 1), np.float32).repeat(3, 2)
    hole = box_hole((16, 16, 48, 48), (64, 64))
    grainy = with_texture(np.full((64, 64, 3), 0.5, np.float32), hole, photo, ~hole, 4, seed=3)
    wanted = np.random.default_rng(3).standard_normal((64, 64), np.float32)
    part = (grainy[..., 0] - 0.5)[hole]
    assert np.corrcoef(part, wanted[hole])[0, 1] > 0.9999


# Who it is


@pytest.mark.parametrize("hole", ["eyes", "lower", "mouth"])
def test_every_hole_has_its_own_threshold(fill, hole):
    truth = levels(drawn(PHOTO))
    result = fill(truth, levels(drawn(REFERENCE, (440, 400))), hole=hole)
    own, whole = threshold_for(named_hole(hole)), threshold_for(np.zeros((128, 128), bool))
    assert own.threshold != whole.threshold and result.identity.threshold == own.threshold
    assert result.identity.strangers_warned == own.strangers_warned


# The detector


def small_face(portrait, side, shape):
    scene = np.full((*shape, 3), 90, np.uint8)
    face = cv2.resize(portrait[20:200, 140:320], (side, side), interpolation=cv2.INTER_AREA)
    scene[300 : 300 + side, 400 : 400 + side] = face
    return scene


def test_a_second_look_finds_smaller_faces(found):
    """Faces of less than 4 % of the short side are looked for where there is none larger."""
    portrait, face, _ = found["photo"]
    scene = small_face(portrait, 40, (1300, 1400))
    (small,) = Mtcnn(threads=1).detect(scene)
    wanted = ((face.landmarks - (140, 20)) + 0.5) * 40 / 180 - 0.5 + (400, 300)
    assert np.abs(small.landmarks - wanted).max() < 2


def test_a_face_near_a_box_is_told_where_it_is_in_the_photo(found):
    portrait, face, _ = found["photo"]
    scene = small_face(portrait, 180, (700, 900))
    (near,) = FaceDetector(threads=1).detect(scene, near=(430, 360, 560, 400))
    assert np.abs(near.landmarks - (face.landmarks - (140, 20) + (400, 300))).max() < 1.5
