"""Small stand-ins: a network of constant fields, a detector and an embedder without networks, synthetic pictures."""

import gzip
import hashlib
import struct
import time

import cv2
import numpy as np

from twoface.core.affine import apply, invert
from twoface.core.blend import _high_passes, _texture_plan, _textured
from twoface.core.faces import TEMPLATE, Face
from twoface.core.frame import Frame
from twoface.core.identity import calibrated_holes, origin
from twoface.core.mesh import Mesh, invented, template_mesh
from twoface.core.mesh_shape import mesh_shape
from twoface.core.network import INPUT_DEPTHS, OUTPUT_SHAPES, REQUIRED_METADATA
from twoface.core.workers import _outcome, run_tasks
from twoface.search.face_space import KINDS, FaceSpace

FRAME = Frame.of((40, 30, 296, 286))  # of the face in tests/core's photo, and a hole in it
HOLE = (140, 130, 200, 190)


def write_network(path, weight=1.0, flow=(0.0, 0.0), gain=1.0, offset=0.0, metadata=None, leave_out=()):
    """A network of the contract: constant fields, synthesis = the masked image; fill as if flow were 0."""
    import onnx  # not by the processes that tests start: they have no use for it
    from onnx import TensorProto, helper

    def value(name, shape):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", *shape])

    inputs = [value(name, (depth, 128, 128)) for name, depth in INPUT_DEPTHS.items()]
    constants = {"zero": 0.0, "w": weight, "rest": 1 - weight, "g": gain, "o": offset, "dx": flow[0], "dy": flow[1]}
    initializers = [helper.make_tensor(k, TensorProto.FLOAT, [], [v]) for k, v in constants.items()]
    initializers += [helper.make_tensor(k, TensorProto.FLOAT, [], [v]) for k, v in (("low", 0.0), ("high", 1.0))]
    nodes = [
        helper.make_node("AveragePool", ["mask"], ["pooled"], kernel_shape=[4, 4], strides=[4, 4]),
        helper.make_node("Mul", ["pooled", "zero"], ["null"]),
        *(helper.make_node("Add", ["null", k], [f"{k}1"]) for k in ("g", "dx", "dy")),
        helper.make_node("Mul", ["mask", "zero"], ["none"]),
        helper.make_node("Add", ["none", "o"], ["o1"]),
        helper.make_node("Add", ["null", "w"], ["weight"]),
        helper.make_node("Concat", ["dx1", "dy1"], ["flow"], axis=1),
        helper.make_node("Concat", ["g1"] * 3, ["gain"], axis=1),
        helper.make_node("Concat", ["o1"] * 3, ["offset"], axis=1),
        helper.make_node("Identity", ["image"], ["synthesis"]),
        helper.make_node("Mul", ["reference", "g"], ["scaled"]),
        helper.make_node("Add", ["scaled", "o"], ["coloured"]),
        helper.make_node("Mul", ["coloured", "w"], ["moved"]),
        helper.make_node("Mul", ["image", "rest"], ["invented"]),
        helper.make_node("Add", ["moved", "invented"], ["mixed"]),
        helper.make_node("Clip", ["mixed", "low", "high"], ["fill"]),
    ]
    outputs = [value(name, shape) for name, shape in OUTPUT_SHAPES.items() if name not in leave_out]
    graph = helper.make_graph(nodes, "constant", inputs, outputs, initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    helper.set_model_props(model, REQUIRED_METADATA if metadata is None else metadata)
    onnx.save(model, path)
    return path


class FakeDetector:
    """Finds the faces that it is told, in every picture."""

    def __init__(self, *faces):
        self.faces = list(faces)

    def detect(self, pixels, near=None):
        return self.faces


class FakeEmbedder:
    """Views that look alike at 6x6 have near embeddings."""

    def embed(self, views):
        small = np.stack([cv2.resize(v, (6, 6), interpolation=cv2.INTER_AREA) for v in views])
        flat = np.pad(small.reshape(len(views), -1).astype(np.float32) - 128, ((0, 0), (0, 20)))
        return origin() + flat / np.linalg.norm(flat, axis=1, keepdims=True)


SPACE = FaceSpace(dict.fromkeys(KINDS, origin()), dict.fromkeys(calibrated_holes(), origin()))  # of FakeEmbedder


class FakeFaceNet:
    """Views that look alike at 8x8 have near embeddings."""

    def embed(self, views):
        small = np.stack([cv2.resize(v, (8, 8), interpolation=cv2.INTER_AREA) for v in views])
        flat = small.reshape(len(views), -1).astype(np.float32) - 128
        long = np.tile(flat, 3)[:, :512]
        return long / np.linalg.norm(long, axis=1, keepdims=True)


def straight(frame):
    """The map of a reference that has this frame, and whose face lies as the photo's does."""
    along = np.linspace(0, 127, 33)
    return apply(invert(frame.transform()), np.stack(np.meshgrid(along, along), -1)).astype(np.float32)


# The mean of faces in an aligned crop: where what is hidden of it is expected.
MEAN_MESH = np.column_stack([mesh_shape().mean, template_mesh()[:, 2]])


class FakeMesher:
    """Sees a face that looks straight ahead wherever it is pointed at."""

    def find(self, pixels, frame):
        return Mesh(MEAN_MESH, 1.0).moved(invert(frame.transform()))

    def through(self, aligned, unknown):
        return MEAN_MESH

    def behind(self, aligned, unknown, network):
        filled = invented(aligned, unknown, network)
        return filled, self.aligned(filled)

    def aligned(self, picture):
        return MEAN_MESH


def until(true, seconds=180):
    """Wait for a condition; the limit is for a busy machine, and nothing is slower for it where the test passes."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


def run_tasks_here(setup, tasks, workers):
    """`run_tasks`, that starts no process for a single worker."""
    if workers > 1:
        yield from run_tasks(setup, tasks, workers)
    else:
        work = setup()
        yield from ((index, _outcome(work, task)) for index, task in enumerate(tasks))


class FakeOcclusion:
    """Sees what is pure green in front of the face."""

    def look(self, aligned):
        red, green, blue = np.moveaxis(aligned.astype(int), -1, 0)
        return ((green > 200) & (red < 60) & (blue < 60)).astype(np.float32)


def write_digits(folder, counts):
    """Random pictures in MNIST's four files, the labels in turn -> {file: SHA-256 of its content}."""
    folder.mkdir()
    rng, known = np.random.default_rng(0), {}
    for kind, count in counts.items():
        pictures, labels = rng.integers(0, 256, (count, 28, 28), np.uint8), (np.arange(count) % 10).astype(np.uint8)
        for name, content in (
            (f"{kind}-images-idx3-ubyte", struct.pack(">4i", 2051, count, 28, 28) + pictures.tobytes()),
            (f"{kind}-labels-idx1-ubyte", struct.pack(">2i", 2049, count) + labels.tobytes()),
        ):
            (folder / f"{name}.gz").write_bytes(gzip.compress(content))
            known[name] = hashlib.sha256(content).hexdigest()
    return known


def textured(height, width, seed=0):
    """A smooth random picture with some noise, uint8 (height, width, 3)."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(40, 216, (max(2, height // 24), max(2, width // 24), 3), np.uint8)
    smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).astype(float)
    return np.clip(smooth + rng.normal(0, 3, (height, width, 1)), 0, 255).astype(np.uint8)


def placed_face(frame):
    """The Face that has this frame."""
    landmarks = apply(invert(frame.transform()), TEMPLATE * 128)
    low, high = landmarks.min(0), landmarks.max(0)
    return Face((*(low - (high - low) / 2).tolist(), *(high + (high - low) / 2).tolist()), landmarks, 1.0)


def with_texture(fill, hole, photo, ring, detail, seed=0):
    """A fill with the fine texture of its surroundings, as `twoface.core.blend.blend` gives it."""
    return _textured(fill, _texture_plan([_high_passes(fill, photo, ring, hole, detail)], detail), seed)
