"""Whatever comes in, each door answers with its own error, and the server lives. Seeds are fixed."""

import copy
import json

import grpc
import httpx
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from serving import pictures
from tritonclient.grpc import service_pb2, service_pb2_grpc

from twoface.core.errors import InputError
from twoface.service.tensors import check

FIXED = settings(
    max_examples=80,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
INFER = "/v2/models/two_face_model/infer"
PREDICT = "/v1/models/two_face_model:predict"
EXPECTED = {200, 400, 404, 413, 415}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@pytest.fixture(scope="module")
def client(server):
    with httpx.Client(base_url=server.url, timeout=60) as client:
        yield client


def test_the_openapi_document_holds(server):
    """Schemathesis on every operation, with what the document allows and with what it forbids."""
    import schemathesis  # not by every process of the tests: it takes two seconds
    from schemathesis import GenerationMode, checks

    document = schemathesis.openapi.from_url(server.url + "/openapi.json")
    # That a tensor has as many numbers as its shape says is more than JSON Schema can tell.
    unfit = [checks.positive_data_acceptance]
    operations = [result.ok() for result in document.get_all_operations()]
    assert len(operations) > 15
    served = {"name": "two_face_model", "version": "1", "label": "stable"}
    for operation in operations:
        modes = [GenerationMode.POSITIVE, GenerationMode.NEGATIVE]  # of a body
        for mode in modes if operation.method == "post" else modes[:1]:

            @given(operation.as_strategy(generation_mode=mode))
            @settings(FIXED, max_examples=5)
            def holds(case):
                if case.method == "POST":  # the bodies are of interest here
                    case.path_parameters = {key: served[key] for key in case.path_parameters}
                case.call_and_validate(excluded_checks=unfit)

            holds()


@given(
    image=st.tuples(st.sampled_from([0, 1, 2, 3]), st.sampled_from([1, 3]), st.sampled_from([127, 128])),
    mask=st.none() | st.tuples(st.sampled_from([0, 1, 2]), st.sampled_from([1, 3]), st.sampled_from([127, 128])),
    kinds=st.tuples(*[st.sampled_from([np.float32, np.uint8, np.float64, np.bool_])] * 2),
    values=st.lists(st.sampled_from([0, 1, 0.5, 255, -1, 2, np.nan, np.inf, 1e-45]), min_size=2, max_size=2),
)
@FIXED
def test_what_passes_the_check_the_network_can_take(image, mask, kinds, values):
    def array(shape, kind, value):
        with np.errstate(invalid="ignore"):
            made = np.array(value).astype(kind)
        full = np.zeros((shape[0], shape[1], 128, shape[2]), kind)
        full[..., :40] = made
        return full

    given_mask = None if mask is None else array(mask, kinds[1], values[1])
    try:
        crops = check(array(image, kinds[0], values[0]), given_mask, rows=2)
    except InputError as error:
        assert "\n" not in str(error)
        return
    for picture in (crops.image, crops.reference):
        assert picture.dtype == np.float32 and picture.shape == (len(crops), 3, 128, 128)
        assert picture.min() >= 0 and picture.max() <= 1
    assert crops.mask.shape == (len(crops), 1, 128, 128) and np.isin(crops.mask, (0, 1)).all()


def small():
    """Requests of both JSON doors that are well-formed but for their sizes, to be spoilt."""
    inner = [[[0, 0, 0], [0, 0, 0]], [[0, 0, 0], [0, 0, 0]]]
    tensor = {"name": "image", "shape": [1, 3, 128, 128], "datatype": "UINT8", "data": [0] * 49152}
    rows = {"masked_image": inner, "reference_image": inner}
    return [
        (PREDICT, {"inputs": {"masked_image": [inner], "reference_image": [inner], "mask": [inner]}}),
        (PREDICT, {"instances": [rows, rows], "signature_name": "serving_default"}),
        (INFER, {"id": "1", "inputs": [tensor], "outputs": [{"name": "fill"}], "parameters": {"timeout": 1000000}}),
    ]


def places(value, path=()):
    """Every place in a JSON value, of long lists only the first and the last."""
    yield path
    if isinstance(value, dict):
        for key in value:
            yield from places(value[key], (*path, key))
    elif isinstance(value, list) and value:
        for index in {0, len(value) - 1}:
            yield from places(value[index], (*path, index))


def spoil(value, path, other):
    """The value with `other` at a place."""
    if not path:
        return other
    spoilt = copy.copy(value)
    spoilt[path[0]] = spoil(value[path[0]], path[1:], other)
    return spoilt


@given(data=st.data())
@settings(FIXED, max_examples=150)
def test_json_with_anything_anywhere(client, data):
    path, request = data.draw(st.sampled_from(small()))
    spoilt = spoil(request, data.draw(st.sampled_from(list(places(request)))), data.draw(JSON))
    answer = client.post(path, content=json.dumps(spoilt).encode("utf-8", "replace"))
    assert answer.status_code in EXPECTED
    assert answer.status_code == 200 or set(answer.json()) <= {"error", "code"}


@given(data=st.data())
@FIXED
def test_bytes_with_any_lengths(client, data):
    size = 3 * 128 * 128
    sizes = st.sampled_from([0, 1, size - 1, size, size + 1, 2**40, -1])
    parameters = {"binary_data_size": data.draw(sizes)}
    tensor = {"name": "image", "shape": [1, 3, 128, 128], "datatype": "UINT8", "parameters": parameters}
    head = json.dumps({"inputs": [tensor]}).encode()
    length = data.draw(st.sampled_from([0, 1, len(head) - 1, len(head), len(head) + 1, 10**7, -1]))
    body = head + bytes(data.draw(st.sampled_from([0, 1, size - 1, size, size + 1])))
    answer = client.post(INFER, content=body, headers={"inference-header-content-length": str(length)})
    fits = length == len(head) and len(body) - len(head) == size == parameters["binary_data_size"]
    assert answer.status_code == (200 if fits else 400)


@given(st.binary(max_size=200), st.sampled_from([INFER, PREDICT]), st.none() | st.text("0123456789-x", max_size=6))
@FIXED
def test_anything_at_all_over_http(client, body, path, length):
    headers = {} if length is None else {"inference-header-content-length": length}
    assert client.post(path, content=body, headers=headers).status_code == 400


TENSOR = st.builds(
    dict,
    name=st.sampled_from(["image", "mask", "reference", "x", ""]),
    datatype=st.sampled_from(["FP32", "UINT8", "BYTES", ""]),
    shape=st.sampled_from([[1, 3, 128, 128], [1, 1, 128, 128], [2, 3, 128, 128], [-1, 3, 128, 128], [], [2**62] * 4]),
    contents=st.sampled_from([{}, {"fp32_contents": [0.5] * 16384}, {"uint_contents": [300] * 49152}]),
)
RAW = st.sampled_from([b"", b"1", bytes(49152), bytes(196608), pictures()[0].tobytes(), b"\xff" * 196608])
MESSAGE = st.builds(
    service_pb2.ModelInferRequest,
    model_name=st.sampled_from(["two_face_model", "two_face_model", "x", ""]),
    model_version=st.sampled_from(["", "1", "2", "x", "-1", "9" * 100]),
    inputs=st.lists(TENSOR, max_size=4),
    outputs=st.lists(st.builds(dict, name=st.sampled_from(["generated", "flow", "x"])), max_size=3),
    raw_input_contents=st.lists(RAW, max_size=4),
)
CODES = {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND}


@pytest.fixture(scope="module")
def infer(server):
    with grpc.insecure_channel(server.grpc) as channel:
        yield channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")


def code_of(infer, data):
    try:
        infer(data, timeout=60)
    except grpc.RpcError as error:
        return error.code()
    return None


@given(MESSAGE)
@settings(FIXED, max_examples=150)
def test_messages_of_the_right_form(infer, message):
    assert code_of(infer, message.SerializeToString()) in {None, *CODES}


@given(message=MESSAGE, data=st.data())
@FIXED
def test_messages_that_are_damaged(infer, message, data):
    whole = bytearray(message.SerializeToString()) or bytearray(b"\0")
    for _ in range(data.draw(st.integers(1, 5))):
        whole[data.draw(st.integers(0, min(len(whole), 300) - 1))] = data.draw(st.integers(0, 255))
    assert code_of(infer, bytes(whole[: data.draw(st.integers(0, len(whole)))])) in {None, *CODES}


def test_and_the_server_lives(server):
    """Runs last in this file."""
    assert httpx.get(server.url + "/v2/health/ready").json() == {"ready": True}
    with grpc.insecure_channel(server.grpc) as channel:
        ready = service_pb2_grpc.GRPCInferenceServiceStub(channel).ServerReady(service_pb2.ServerReadyRequest())
    assert ready.ready
