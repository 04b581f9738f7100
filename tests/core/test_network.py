import numpy as np
import onnxruntime
import pytest
from fakes import write_network

from twoface.core.errors import InputError, TwoFaceError
from twoface.core.network import OUTPUT_SHAPES, REQUIRED_METADATA, FillModel, both_ways


def inputs(n=1):
    return [np.full((n, c, 128, 128), v, np.float32) for c, v in ((3, 0.5), (1, 1.0), (3, 0.25))]


@pytest.mark.parametrize("n", [1, 3])
def test_runs_batches(network, n):
    outputs = network(weight=0.5).run(*inputs(n))
    assert {name: array.shape[1:] for name, array in outputs.items()} == OUTPUT_SHAPES
    assert np.allclose(outputs["fill"], 0.375) and len(outputs["fill"]) == n


class OneSided:
    """Answers what it is given, less to the right, and moves all to the right."""

    def run(self, image, mask, reference, trust):
        ramp = np.linspace(1, 0, 128, dtype=np.float32)
        flow = np.broadcast_to(np.array([1, 3], np.float32)[:, None, None], (2, 32, 32))
        return {"fill": image * ramp, "flow": np.stack([flow * len(image)] * len(image))}


def test_both_ways_is_the_mean_of_a_picture_and_its_mirror_image():
    rng = np.random.default_rng(0)
    given = [rng.random((3, c, 128, 128), np.float32) for c in (3, 1, 3, 1)]
    found = both_ways(OneSided(), *given)
    assert np.allclose(found["fill"], given[0] / 2, atol=1e-6)
    assert (found["flow"][:, 0] == 0).all() and (found["flow"][:, 1] == 18).all()  # six pictures in one call
    mirrored = both_ways(OneSided(), *(batch[..., ::-1] for batch in given))
    assert np.allclose(mirrored["fill"], found["fill"][..., ::-1], atol=1e-6)


@pytest.mark.parametrize("key", REQUIRED_METADATA)
def test_refuses_a_file_without_metadata(tmp_path, key):
    metadata = {k: v for k, v in REQUIRED_METADATA.items() if k != key}
    with pytest.raises(InputError, match=key):
        FillModel(write_network(tmp_path / "a.onnx", metadata=metadata))


@pytest.mark.parametrize("before", ["1", "2"])
def test_a_file_of_an_earlier_format_is_refused_by_name(tmp_path, before):
    path = write_network(tmp_path / "a.onnx", metadata=REQUIRED_METADATA | {"twoface.format": before})
    with pytest.raises(InputError, match=rf"earlier version \(format {before}\).*runs format 3: train on"):
        FillModel(path)


def test_refuses_other_files(tmp_path):
    path = tmp_path / "a.onnx"
    with pytest.raises(InputError, match="no network"):
        FillModel(path)
    path.write_bytes(b"not a network")
    with pytest.raises(InputError, match="not a readable"):
        FillModel(path)
    with pytest.raises(InputError, match="lacks flow"):
        FillModel(write_network(path, leave_out=("flow",)))


@pytest.mark.parametrize(
    "index, change",
    [
        (0, lambda a: a.astype(np.float64)),
        (0, lambda a: a[:, :, :64]),
        (0, lambda a: a * 3),
        (0, lambda a: a * np.nan),
        (1, lambda a: a * 0.5),
        (2, lambda a: a - 1),
    ],
)
def test_refuses_bad_arrays(network, index, change):
    arrays = inputs()
    arrays[index] = change(arrays[index])
    with pytest.raises(ValueError):
        network().run(*arrays)


def test_a_device_that_is_not_there_is_an_error_not_a_fallback(tmp_path):
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this ONNX Runtime has CUDA")
    with pytest.raises(TwoFaceError, match="onnxruntime-gpu"):
        FillModel(write_network(tmp_path / "n.onnx"), device="cuda")


def test_a_network_that_fills_the_centre_alone_refuses_other_holes(tmp_path):
    metadata = {**REQUIRED_METADATA, "twoface.hole": "48,48,80,80"}
    model = FillModel(write_network(tmp_path / "centre.onnx", metadata=metadata), threads=1)
    image, mask = np.zeros((1, 3, 128, 128), np.float32), np.zeros((1, 1, 128, 128), np.float32)
    mask[:, :, 48:80, 48:80] = 1
    assert model.run(image, mask, image)["fill"].shape == image.shape
    mask[:, :, 47, 60] = 1
    with pytest.raises(InputError, match="outside 48,48,80,80"):
        model.run(image, mask, image)
