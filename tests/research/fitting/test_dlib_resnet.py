"""The converter of dlib's network, on a small one written here as dlib's `serialize` writes it."""

import hashlib

import numpy as np
import onnxruntime
import pytest
import torch
from torch.nn import functional as F

from twoface.core.errors import InputError, TwoFaceError
from twoface.research.fitting import dlib_resnet

SIDE = 20


def integer(value):
    digits = abs(value).to_bytes((abs(value).bit_length() + 7) // 8, "little")
    return bytes([len(digits) | (0x80 if value < 0 else 0)]) + digits


def integers(*values):
    return b"".join(map(integer, values))


def text(value):
    return integer(len(value)) + value.encode()


def real(value):
    return integers(int(value * 1024), -10)


def tensor(array):
    array = np.asarray(array, "<f4")
    return integers(2, *array.shape, *[1] * (4 - array.ndim)) + array.tobytes()


STATE = b"110" + integers(2, 0, 0, 0, 0) * 3
RELU, ADD = text("relu_"), text("add_prev_")


def convolution(weights, biases, stride, pad):
    params = np.concatenate([weights.ravel(), biases])
    number, _, rows, columns = weights.shape
    views = integers(1, *weights.shape) + integers(1, 1, number, 1, 1)
    shape = integers(number, rows, columns, stride, stride, pad, pad)
    return text("con_4") + tensor(params) + shape + views + real(1) * 4


def affine(gain, shift):
    view = integers(1, 1, len(gain), 1, 1)
    return text("affine_") + tensor(np.concatenate([gain, shift])) + view * 2 + integer(0)


def pool(kind, window, stride):
    return text(kind) + integers(window, window, stride, stride, 0, 0)


def dense(weights):
    inputs, outputs = weights.shape
    return text("fc_2") + integers(outputs, inputs) + tensor(weights) + integers(1, inputs, outputs, 1, 1) + integers(
        1, 0, 0, 0, 0
    ) + integer(1) + real(1) * 4  # fmt: skip


def serialized(layers):
    """layers: from the first to the last, bytes, or None for a tag or a skip."""
    versions = [1 if layer is None else 2 for layer in layers]
    versions[0] = 3
    source = text("input_rgb_image_sized") + real(120) + real(117) + real(104) + integers(SIDE, SIDE)
    body = [source] + [b"" if layer is None else layer + STATE for layer in layers]
    body[1] += integer(1)
    return integer(1) + text("loss_metric_2") + real(0.04) + real(0.6) + integers(*versions[::-1]) + b"".join(body)


@pytest.fixture
def weights():
    rng = np.random.default_rng(3)
    return lambda *shape: rng.normal(size=shape).astype(np.float32) * 0.4


def test_a_small_network_gives_what_pytorch_gives(weights):
    """With a plain block, and one that halves the size and doubles the channels, the two sides unequally large."""
    shapes = ((4, 3, 3, 3), (4, 4, 3, 3), (4, 4, 3, 3), (8, 4, 3, 3), (8, 8, 3, 3))
    strides, pads = (2, 1, 1, 2, 1), (0, 1, 1, 0, 1)
    parts = [(weights(*shape), *(weights(shape[0]) for _ in range(3))) for shape in shapes]
    last = weights(8, 5)

    def block(first, middle, second):
        one, two = ([convolution(*parts[i][:2], strides[i], pads[i]), affine(*parts[i][2:])] for i in (first, second))
        return [*one, *middle, *two]

    stem = [convolution(*parts[0][:2], 2, 0), affine(*parts[0][2:]), RELU, pool("max_pool_2", 3, 1)]
    plain = [None, *block(1, [RELU], 2), ADD, RELU]
    down = [None, *block(3, [RELU], 4), None, None, pool("avg_pool_2", 2, 2), ADD, RELU]
    model = dlib_resnet.to_onnx(serialized([*stem, *plain, *down, pool("avg_pool_2", 0, 1), dense(last)]))

    def step(x, i):
        weight, bias, gain, shift = (torch.from_numpy(part) for part in parts[i])
        x = F.conv2d(x, weight, bias, strides[i], pads[i])
        return x * gain[:, None, None] + shift[:, None, None]

    faces = np.random.default_rng(0).integers(0, 256, (2, SIDE, SIDE, 3), np.uint8)
    x = (torch.from_numpy(faces).permute(0, 3, 1, 2) - torch.tensor([120.0, 117, 104])[:, None, None]) / 256
    x = F.max_pool2d(step(x, 0).relu(), 3, 1)  # 7 x 7
    x = (x + step(step(x, 1).relu(), 2)).relu()
    shrunk, deep = F.avg_pool2d(x, 2), step(step(x, 3).relu(), 4)
    assert shrunk.shape[1:] == (4, 3, 3) and deep.shape[1:] == (8, 3, 3)
    x = (F.pad(shrunk, (0, 0, 0, 0, 0, 4)) + deep).relu()
    expected = x.mean((2, 3)) @ torch.from_numpy(last)

    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    assert session.run(None, {"faces": faces})[0] == pytest.approx(expected.numpy(), abs=1e-4)


def test_the_smaller_of_two_is_widened_at_its_end(weights):
    """Of 6 pixels a convolution without padding leaves 2, and a pool 3."""
    weight, bias = weights(4, 4, 3, 3), weights(4)
    first = weights(4, 3, 15, 15), weights(4)
    down = [None, convolution(weight, bias, 2, 0), None, None, pool("avg_pool_2", 2, 2), ADD]
    last = np.eye(36, dtype=np.float32)
    model = dlib_resnet.to_onnx(serialized([convolution(*first, 1, 0), *down, dense(last)]))
    faces = np.random.default_rng(0).integers(0, 256, (1, SIDE, SIDE, 3), np.uint8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    found = session.run(None, {"faces": faces})[0].reshape(1, 4, 3, 3)

    x = (torch.from_numpy(faces).permute(0, 3, 1, 2) - torch.tensor([120.0, 117, 104])[:, None, None]) / 256
    x = F.conv2d(x, *map(torch.from_numpy, first))
    deep = F.pad(F.conv2d(x, torch.from_numpy(weight), torch.from_numpy(bias), 2), (0, 1, 0, 1))
    assert found == pytest.approx((F.avg_pool2d(x, 2) + deep).numpy(), abs=1e-4)


def test_what_is_not_known_is_refused(weights):
    first = convolution(weights(4, 3, 3, 3), weights(4), 1, 0)
    good = serialized([first, RELU])
    with pytest.raises(TwoFaceError, match="a layer htan_, which is not known"):
        dlib_resnet.to_onnx(serialized([first, text("htan_")]))
    for damaged in (good[:-10], good + b"\x01", good.replace(b"loss_metric_2", b"loss_metric_9")):
        with pytest.raises(TwoFaceError, match="the file is damaged"):
            dlib_resnet.to_onnx(damaged)


def test_the_command(weights, tmp_path, monkeypatch, capsys):
    content = serialized([convolution(weights(4, 3, 3, 3), weights(4), 1, 0), RELU])
    network, output = tmp_path / "network.dat", tmp_path / "recogniser.onnx"
    network.write_bytes(content)
    assert dlib_resnet.main([str(network), str(output)]) == 2
    assert "not the network of dlib that is known" in capsys.readouterr().err
    with pytest.raises(InputError):
        dlib_resnet.convert(content)
    monkeypatch.setattr(dlib_resnet, "SHA256", hashlib.sha256(content).hexdigest())
    assert dlib_resnet.main([str(network), str(output)]) == 0
    assert str(output) in capsys.readouterr().out and output.stat().st_size > 0


def test_weights_of_a_byte_do_nearly_as_well(weights):
    layers = [
        convolution(weights(16, 3, 5, 5), weights(16), 2, 0),
        RELU,
        pool("avg_pool_2", 0, 1),
        dense(weights(16, 20)),
    ]
    model = dlib_resnet.to_onnx(serialized(layers))
    small = dlib_resnet.byte_weights(model)
    assert len(small.SerializeToString()) < 0.6 * len(model.SerializeToString())
    faces = np.random.default_rng(0).integers(0, 256, (2, SIDE, SIDE, 3), np.uint8)
    one, other = (
        onnxruntime.InferenceSession(m.SerializeToString(), providers=["CPUExecutionProvider"]).run(
            None, {"faces": faces}
        )
        for m in (model, small)
    )
    assert np.abs(one[0] - other[0]).max() < 0.02 * np.abs(one[0]).max()
