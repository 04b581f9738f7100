"""TensorFlow Serving's gRPC door, by messages as its clients make them."""

import grpc
import numpy as np
import pytest
from serving import expected, pictures

from twoface.service.proto import tensorflow_pb2, tfserving_pb2
from twoface.service.tfserving_grpc import METHODS, SERVICES

FLOAT, DOUBLE = tensorflow_pb2.DT_FLOAT, tensorflow_pb2.DT_DOUBLE


@pytest.fixture
def call(server):
    """call(method, request) -> its reply."""
    services = {method: name for name, methods in zip(SERVICES, METHODS.values(), strict=True) for method in methods}
    with grpc.insecure_channel(server.grpc) as channel:

        def ask(method, request):
            reply = getattr(tfserving_pb2, f"{method}Response").FromString
            return channel.unary_unary(f"/{services[method]}/{method}", type(request).SerializeToString, reply)(request)

        yield ask


def tensor(array, dtype=FLOAT, **values):
    """values: instead of the array's bytes."""
    shape = {"dim": [{"size": size} for size in array.shape]}
    kind = "<f4" if dtype == FLOAT else "<f8"
    return tensorflow_pb2.TensorProto(
        dtype=dtype, tensor_shape=shape, **(values or {"tensor_content": array.astype(kind).tobytes()})
    )


def nhwc(array):
    return np.ascontiguousarray(array.transpose(0, 2, 3, 1))


def predict(inputs, spec=None, **others):
    spec = {"name": "two_face_model", **(spec or {})}
    return tfserving_pb2.PredictRequest(model_spec=spec, inputs=inputs, **others)


IMAGE, REFERENCE = pictures(2)
FINE = {"masked_image": tensor(nhwc(IMAGE)), "reference_image": tensor(nhwc(REFERENCE))}


@pytest.mark.parametrize("spec", [{}, {"version": {"value": 1}}, {"signature_name": "serving_default"}])
def test_predict(call, spec):
    reply = call("Predict", predict(FINE, spec))
    answer = reply.outputs["generated_image"]
    assert (answer.dtype, [dim.size for dim in answer.tensor_shape.dim]) == (FLOAT, [2, 128, 128, 3])
    filled = np.frombuffer(answer.tensor_content, "<f4").reshape(2, 128, 128, 3).transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(filled, expected(IMAGE, REFERENCE))
    assert (reply.model_spec.name, reply.model_spec.version.value) == ("two_face_model", 1)


def test_values_in_every_form(call):
    black = np.zeros((2, 128, 128, 3))
    mask = np.zeros((2, 128, 128))
    mask[:, :9] = 1
    inputs = {
        "masked_image": tensor(nhwc(IMAGE), float_val=nhwc(IMAGE).ravel()),
        "reference_image": tensor(black, DOUBLE, double_val=[0]),
        "mask": tensor(mask, DOUBLE),
    }
    answer = call("Predict", predict(inputs, output_filter=["generated_image"])).outputs["generated_image"]
    filled = np.frombuffer(answer.tensor_content, "<f4").reshape(2, 128, 128, 3)
    np.testing.assert_array_equal(filled, np.where(mask[..., None], 0, nhwc(IMAGE)))


def test_status_and_metadata(call):
    spec = {"name": "two_face_model"}
    (status,) = call("GetModelStatus", tfserving_pb2.GetModelStatusRequest(model_spec=spec)).model_version_status
    assert (status.version, status.state, status.status.error_code) == (1, 30, 0)
    asked = tfserving_pb2.GetModelMetadataRequest(model_spec=spec, metadata_field=["signature_def"])
    signatures = tfserving_pb2.SignatureDefMap()
    assert call("GetModelMetadata", asked).metadata["signature_def"].Unpack(signatures)
    known = signatures.signature_def["serving_default"]
    assert set(known.inputs) == {"masked_image", "reference_image", "mask"} and known.inputs["mask"].dtype == FLOAT
    assert [dim.size for dim in known.outputs["generated_image"].tensor_shape.dim] == [-1, 128, 128, 3]


@pytest.mark.parametrize(
    ("request_", "code", "words"),
    [
        (predict(FINE, {"name": "other"}), "NOT_FOUND", "no model 'other'"),
        (predict(FINE, {"version": {"value": 7}}), "NOT_FOUND", "no version 7"),
        (predict(FINE, {"version_label": "stable"}), "NOT_FOUND", "no label 'stable'"),
        (predict(FINE, {"signature_name": "x"}), "INVALID_ARGUMENT", "signature_name"),
        (predict(FINE, output_filter=["x"]), "INVALID_ARGUMENT", "output_filter"),
        (predict({"masked_image": FINE["masked_image"]}), "INVALID_ARGUMENT", "lacks reference_image"),
        (predict({**FINE, "x": FINE["masked_image"]}), "INVALID_ARGUMENT", "unknown 'x'"),
        (predict({**FINE, "mask": tensorflow_pb2.TensorProto()}), "INVALID_ARGUMENT", "DT_FLOAT or DT_DOUBLE"),
        (predict({**FINE, "mask": tensor(np.zeros((2, 99999)), float_val=[0])}), "INVALID_ARGUMENT", "shape"),
        (predict({**FINE, "mask": tensor(np.zeros((2, 0)), float_val=[0])}), "INVALID_ARGUMENT", "shape"),
        (predict({**FINE, "mask": tensor(np.zeros((2, 128, 128)), float_val=[0, 0])}), "INVALID_ARGUMENT", "2 values"),
        (predict({**FINE, "mask": tensor(np.zeros((2, 9)), tensor_content=b"1")}), "INVALID_ARGUMENT", "1 bytes"),
        (predict({**FINE, "masked_image": tensor(nhwc(IMAGE) * np.nan)}), "INVALID_ARGUMENT", "holds NaN"),
        (tfserving_pb2.GetModelMetadataRequest(), "INVALID_ARGUMENT", "metadata_field"),
        (tfserving_pb2.GetModelStatusRequest(), "NOT_FOUND", "no model"),
    ],
    ids=range(15),
)
def test_what_cannot_be_used_is_said(call, request_, code, words):
    with pytest.raises(grpc.RpcError) as error:
        call(type(request_).__name__.removesuffix("Request"), request_)
    assert error.value.code().name == code and words in error.value.details()
