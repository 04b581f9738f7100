import json

import httpx
import numpy as np
import pytest
import tritonclient.http as triton
from serving import expected, pictures
from tritonclient.utils import InferenceServerException

MODEL = "two_face_model"
INFER = f"/v2/models/{MODEL}/infer"


@pytest.fixture
def client(server):
    with triton.InferenceServerClient(server.url.removeprefix("http://")) as client:
        yield client


def tensors(binary=True, **arrays):
    made = []
    for name, array in arrays.items():
        datatype = "UINT8" if array.dtype == np.uint8 else "FP32"
        tensor = triton.InferInput(name, array.shape, datatype)
        made.append(tensor.set_data_from_numpy(array, binary_data=binary))
    return made


@pytest.mark.parametrize("sent", [True, False])
@pytest.mark.parametrize("back", [True, False])
def test_tritonclient_binary_and_json(client, sent, back):
    image, reference = pictures(2)
    outputs = [triton.InferRequestedOutput(name, binary_data=back) for name in ("generated", "flow")]
    answer = client.infer(
        MODEL, tensors(sent, image=image, reference=reference), outputs=outputs, request_id="one", model_version="1"
    )
    np.testing.assert_array_equal(answer.as_numpy("generated"), expected(image, reference))
    assert answer.as_numpy("flow").shape == (2, 2, 32, 32)
    said = answer.get_response()
    assert (said["id"], said["model_name"], said["model_version"]) == ("one", MODEL, "1")
    assert [output["name"] for output in said["outputs"]] == ["generated", "flow"]


@pytest.mark.parametrize("binary", [True, False])
def test_bytes_in_bytes_out(client, binary):
    image, reference = ((array * 255).astype(np.uint8) for array in pictures())
    mask = np.zeros((1, 1, 128, 128), np.uint8)
    mask[:, :, 60:70] = 1
    answer = client.infer(MODEL, tensors(binary, image=image, mask=mask, reference=reference))
    picture = answer.as_numpy("generated")
    assert picture.dtype == np.uint8
    np.testing.assert_array_equal(picture, np.where(mask, reference, image))
    assert answer.as_numpy("fill").dtype == np.float32


def test_all_outputs_when_none_is_named(client):
    answer = client.infer(MODEL, tensors(image=pictures()[0]))
    names = [output["name"] for output in answer.get_response()["outputs"]]
    assert names == ["generated", "fill", "synthesis", "flow", "gain", "offset", "weight"]


def test_no_outputs_are_all(server):
    answer = httpx.post(server.url + INFER, json={**GOOD, "outputs": []})
    assert len(answer.json()["outputs"]) == 7


def test_statistics_count_what_was_done(client, server):
    before = client.get_inference_statistics(MODEL)["model_stats"][0]
    client.infer(MODEL, tensors(image=pictures(2)[0]))
    with pytest.raises(InferenceServerException):
        client.infer(MODEL, tensors(mask=pictures(1)[0]))
    for answer in (client.get_inference_statistics(MODEL, "1"), client.get_inference_statistics()):
        (after,) = answer["model_stats"]
        assert (after["name"], after["version"]) == (MODEL, "1")
        assert after["inference_count"] == before["inference_count"] + 2
        assert after["execution_count"] == before["execution_count"] + 1
        for name in ("success", "queue", "compute_input", "compute_infer", "compute_output"):
            one, two = before["inference_stats"][name], after["inference_stats"][name]
            assert two["count"] == one["count"] + 1 and two["ns"] > one["ns"], name
        assert 2 in [batch["batch_size"] for batch in after["batch_stats"]]
        assert after["last_inference"] > 1.7e12
    assert httpx.get(f"{server.url}/v2/models/other/stats").status_code == 404


def test_the_repository_index(client, server):
    assert client.get_model_repository_index() == [{"name": MODEL, "version": "1", "state": "READY", "reason": ""}]
    index = server.url + "/v2/repository/index"
    assert httpx.post(index, json={"ready": True}).json()[0]["state"] == "READY"
    assert httpx.post(index, json={"ready": 1}).status_code == httpx.post(index, content=b"[").status_code == 400


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_tritonclient_packed(client, algorithm):
    image, reference = pictures()
    sent = tensors(image=image, reference=reference)
    answer = client.infer(MODEL, sent, request_compression_algorithm=algorithm)
    np.testing.assert_array_equal(answer.as_numpy("generated"), expected(image, reference))


def test_data_may_be_nested(server):
    image, reference = pictures()
    inputs = [
        {"name": name, "shape": array.shape, "datatype": "FP32", "data": array.tolist()}
        for name, array in (("image", image), ("reference", reference))
    ]
    answer = httpx.post(server.url + INFER, json={"inputs": inputs, "outputs": [{"name": "generated"}]}).json()
    (output,) = answer["outputs"]
    np.testing.assert_array_equal(
        np.array(output["data"], np.float32).reshape(output["shape"]), expected(image, reference)
    )
    assert "id" not in answer


def test_what_the_server_says_of_itself(client):
    assert client.is_server_live() and client.is_server_ready()
    assert client.is_model_ready(MODEL) and client.is_model_ready(MODEL, "1")
    assert client.get_server_metadata()["name"] == "twoface"
    said = client.get_model_metadata(MODEL, "1")
    assert said["versions"] == ["1"] and said["platform"] == "onnxruntime_onnx"
    assert said["inputs"][0] == {"name": "image", "datatype": "FP32", "shape": [-1, 3, 128, 128]}
    config = client.get_model_config(MODEL)
    assert config["max_batch_size"] == 16 and config["input"][1]["optional"]


@pytest.mark.parametrize("ask", ["get_model_metadata", "get_model_config", "is_model_ready"])
def test_an_unknown_model_or_version_is_404(client, server, ask):
    if ask == "is_model_ready":
        assert not client.is_model_ready("other")
        assert httpx.get(f"{server.url}/v2/models/{MODEL}/versions/9/ready").status_code == 404
        return
    for arguments in (("other",), (MODEL, "9")):
        with pytest.raises(InferenceServerException) as error:
            getattr(client, ask)(*arguments)
        assert error.value.status() == "404"


def infer_json(**changes):
    image = pictures()[0]
    tensor = {"name": "image", "shape": list(image.shape), "datatype": "FP32", "data": image.ravel().tolist()}
    return {"inputs": [{k: v for k, v in {**tensor, **changes}.items() if v is not None}]}


GOOD = infer_json()


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({}, "'inputs' must be"),
        ({"inputs": []}, "'inputs' must be"),
        ({"inputs": [1]}, "list of objects"),
        ({"inputs": GOOD["inputs"] * 2}, "twice"),
        ({"inputs": GOOD["inputs"] * 17}, "1 to 16"),
        (infer_json(name="picture"), "unknown input"),
        (infer_json(name=5), "must be a text"),
        (infer_json(name="reference"), "no input image"),
        (infer_json(datatype="FP16"), "FP32 or UINT8"),
        (infer_json(datatype=None), "must be a text"),
        (infer_json(shape=None), "shape of 4"),
        (infer_json(shape=[1, 3, 128]), "shape of 4"),
        (infer_json(shape=[1, 3, 128, True]), "shape of 4"),
        (infer_json(shape=[-1, 3, 128, 128]), "must have the shape"),
        (infer_json(shape=[17, 3, 128, 128]), "must have the shape"),
        (infer_json(shape=[2, 3, 128, 128]), "give it flat"),
        (infer_json(data=None), "needs either"),
        (infer_json(data=[0.0] * 49151 + [[0.5]]), "ragged"),
        (infer_json(data=["x"]), "no number"),
        (infer_json(data=[[[[0.5]]]]), "give it flat"),
        (infer_json(data=[0.0] * 49151 + [2.0]), "outside"),
        (infer_json(datatype="UINT8", data=[0] * 49151 + [256]), "above 255"),
        (infer_json(parameters=3), "must be an object"),
        (infer_json(parameters={"shared_memory_region": "x"}), "not offered"),
        (infer_json(parameters={"binary_data_size": 8}), "needs either"),
        (infer_json(data=None, parameters={"binary_data_size": 196608}), "bytes are left"),
        (infer_json(data=None, parameters={"binary_data_size": -1}), "bytes are left"),
        (GOOD | {"outputs": [{"name": "x"}]}, "unknown output"),
        (GOOD | {"outputs": [{"name": "fill"}, {"name": "fill"}]}, "twice"),
        (GOOD | {"outputs": [{"name": "fill", "parameters": {"classification": 3}}]}, "not offered"),
        (GOOD | {"outputs": 3}, "'outputs' must be"),
        (GOOD | {"id": 7}, "must be a text"),
        (GOOD | {"parameters": {"timeout": "soon"}}, "microseconds"),
    ],
    ids=range(33),
)
def test_a_bad_body_is_400_and_says_why(server, body, text):
    answer = httpx.post(server.url + INFER, content=json.dumps(body))
    assert answer.status_code == 400 and text in answer.json()["error"]


def binary_body(image, size):
    head = infer_json(data=None, parameters={"binary_data_size": size})
    text = json.dumps(head).encode()
    return text + image.tobytes(), {"inference-header-content-length": str(len(text))}


@pytest.mark.parametrize(
    ("size", "cut", "text"),
    [
        (196608, 196604, "bytes are left"),
        (196604, 196604, "its shape and datatype make 196608"),
        (196604, 196608, "its shape and datatype make 196608"),
        (10**18, 196608, "bytes are left"),
    ],
)
def test_bytes_that_are_not_what_the_shape_says_are_400(server, size, cut, text):
    body, headers = binary_body(pictures()[0], size)
    answer = httpx.post(server.url + INFER, content=body[: len(body) - 196608 + cut], headers=headers)
    assert answer.status_code == 400 and text in answer.json()["error"]


def test_bytes_left_over_are_400(server):
    body, headers = binary_body(pictures()[0], 196608)
    answer = httpx.post(server.url + INFER, content=body + b"more", headers=headers)
    assert answer.status_code == 400 and "left over" in answer.json()["error"]


@pytest.mark.parametrize("length", ["-1", "99999999", "x", "", "1" * 50])
def test_a_header_length_that_lies_is_400(server, length):
    body, _ = binary_body(pictures()[0], 196608)
    answer = httpx.post(server.url + INFER, content=body, headers={"inference-header-content-length": length})
    assert answer.status_code == 400 and answer.json()["error"]
