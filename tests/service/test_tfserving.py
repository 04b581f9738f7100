import gzip
import json
import re
import zlib

import httpx
import numpy as np
import pytest
from serving import expected, pictures

PREDICT = "/v1/models/two_face_model:predict"


def nhwc(array):
    return array.transpose(0, 2, 3, 1).tolist()


def nchw(answer):
    return np.array(answer, np.float32).transpose(0, 3, 1, 2)


def columns(image, reference, **others):
    return {"inputs": {"masked_image": nhwc(image), "reference_image": nhwc(reference), **others}}


@pytest.mark.parametrize("path", [PREDICT, "/v1/models/two_face_model/versions/1:predict"])
def test_columns_answer_outputs(server, path):
    image, reference = pictures(2)
    answer = httpx.post(server.url + path, json=columns(image, reference) | {"signature_name": "serving_default"})
    assert answer.status_code == 200 and list(answer.json()) == ["outputs"]
    np.testing.assert_array_equal(nchw(answer.json()["outputs"]), expected(image, reference))


def test_rows_answer_predictions(server):
    image, reference = pictures(2)
    instances = [
        {"masked_image": masked, "reference_image": other}
        for masked, other in zip(nhwc(image), nhwc(reference), strict=True)
    ]
    answer = httpx.post(server.url + PREDICT, json={"instances": instances})
    assert answer.status_code == 200 and list(answer.json()) == ["predictions"]
    np.testing.assert_array_equal(nchw(answer.json()["predictions"]), expected(image, reference))


@pytest.mark.parametrize("shape", [(1, 128, 128), (1, 128, 128, 1)])
def test_a_mask_says_where_the_hole_is(server, shape):
    image, reference = pictures()
    image[:] = 0.5
    mask = np.zeros(shape, int)
    mask[:, :30] = 1
    answer = httpx.post(server.url + PREDICT, json=columns(image, reference, mask=mask.tolist()))
    filled = nchw(answer.json()["outputs"])
    np.testing.assert_array_equal(filled[:, :, :30], reference[:, :, :30])
    np.testing.assert_array_equal(filled[:, :, 30:], image[:, :, 30:])


def test_status_and_metadata(server):
    one = {"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    for path in ("/v1/models/two_face_model", "/v1/models/two_face_model/versions/1"):
        assert httpx.get(server.url + path).json() == {"model_version_status": [one]}
        said = httpx.get(f"{server.url}{path}/metadata").json()
        assert said["model_spec"] == {"name": "two_face_model", "signature_name": "", "version": "1"}
        signature = said["metadata"]["signature_def"]["signature_def"]["serving_default"]
        sizes = [d["size"] for d in signature["inputs"]["masked_image"]["tensor_shape"]["dim"]]
        assert sizes == ["-1", "128", "128", "3"]


IMAGE, REFERENCE = pictures()
FINE = columns(IMAGE, REFERENCE)["inputs"]


def without(**changes):
    return {"inputs": {k: v for k, v in {**FINE, **changes}.items() if v is not None}}


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "not JSON"),
        (b'{"inputs": ', "not JSON"),
        (b"[" * 100000, "not JSON"),
        (b'{"a":' * 5000 + b"1" + b"}" * 5000, "not JSON"),
        (b"[]", "must be a JSON object"),
        ({}, "give either"),
        ({"inputs": FINE, "instances": [FINE]}, "give either"),
        ({"inputs": [1]}, "must be an object"),
        ({"instances": FINE}, "list of 1 to 16"),
        ({"instances": []}, "list of 1 to 16"),
        ({"instances": [3]}, "list of objects"),
        ({"inputs": FINE, "more": 1}, "unknown key 'more'"),
        ({"inputs": FINE, "signature_name": "other"}, "signature_name"),
        (without(picture=[1]), "unknown 'picture'"),
        (without(masked_image=None), "lacks masked_image"),
        (without(reference_image=None), "all black"),
        (without(masked_image=3), "list of numbers"),
        (without(masked_image="x"), "list of numbers"),
        (without(masked_image=[[[[0, 0, "a"]]]]), "no number"),
        (without(masked_image=[[[[0, 0, 0], [0, 0]]]]), "ragged"),
        (without(masked_image=[[[[0, 0, 0]]]]), "shape"),
        (without(masked_image=nhwc(np.full((1, 3, 128, 128), 0.5))), "no hole"),
        (without(masked_image=nhwc(IMAGE * 255)), "outside"),
        (without(reference_image=nhwc(REFERENCE - 1)), "outside"),
        (without(reference_image=nhwc(np.repeat(REFERENCE, 2, 0))), "shape of image"),
        (without(mask=np.full((1, 128, 128), 0.5).tolist()), "only 0"),
        ({"inputs": {k: np.zeros((17, 128, 128, 3), int).tolist() for k in FINE}}, "at most"),
    ],
    ids=range(27),
)
def test_a_bad_body_is_400_and_says_why(server, body, text):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = httpx.post(server.url + PREDICT, content=content, timeout=60)
    assert answer.status_code == 400 and text in answer.json()["error"]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_as_pythons_json_writes_it_is_400_and_named(server, value):
    body = json.dumps(without(reference_image=nhwc(np.full_like(REFERENCE, value))))
    answer = httpx.post(server.url + PREDICT, content=body)
    assert answer.status_code == 400 and "holds NaN or Infinity" in answer.json()["error"]


@pytest.mark.parametrize("body", [b'{"inputs": {,}}', b"{", b'{"a": "NaN" 1}', b"[" * 3000])
def test_why_a_body_is_no_json_is_said_without_the_parsers_words(server, body):
    said = httpx.post(server.url + PREDICT, content=body).json()["error"]
    assert "not JSON" in said and not re.search("TAPE|_ERROR|simdjson|which are no numbers", said)


def test_every_level_comes_back_to_a_client_that_cuts_off(server):
    levels = np.arange(256)
    image = np.zeros((1, 128, 128, 3))
    image[0, :2] = levels.reshape(2, 128, 1) / 255
    body = {"inputs": {"masked_image": image.tolist(), "reference_image": np.zeros_like(image).tolist()}}
    back = httpx.post(server.url + PREDICT, json=body).json()["outputs"]
    cut_off = [int(value * 255) for row in back[0][:2] for value, *_ in row]
    assert cut_off == levels.tolist()


@pytest.mark.parametrize("path", ["/v1/models/other:predict", "/v1/models/two_face_model/versions/7:predict"])
def test_an_unknown_model_or_version_is_404(server, path):
    answer = httpx.post(server.url + path, json={"inputs": FINE})
    assert answer.status_code == 404 and answer.json()["error"]


def test_another_method_of_tensorflow_serving_is_an_error(server):
    answer = httpx.post(server.url + "/v1/models/two_face_model:classify", json={"inputs": FINE})
    assert answer.status_code == 405 and answer.json()["error"]


@pytest.mark.parametrize("path", ["/v1/models/other", "/v1/models/two_face_model/versions/7", "/v1/models/x/metadata"])
def test_an_unknown_models_status_is_404(server, path):
    assert httpx.get(server.url + path).status_code == 404


def test_a_version_that_is_no_number_is_400(server):
    assert httpx.get(server.url + "/v1/models/two_face_model/versions/x").status_code == 400


@pytest.mark.parametrize(
    ("coding", "pack"), [("gzip", gzip.compress), ("GZip", gzip.compress), ("deflate", zlib.compress)]
)
def test_packed_bodies_are_taken(server, coding, pack):
    body = pack(json.dumps({"inputs": FINE}).encode())
    answer = httpx.post(server.url + PREDICT, content=body, headers={"content-encoding": coding})
    np.testing.assert_array_equal(nchw(answer.json()["outputs"]), expected(IMAGE, REFERENCE))


@pytest.mark.parametrize(
    ("coding", "body", "status"),
    [
        pytest.param("br", b"x", 415, id="another coding"),
        pytest.param("gzip, gzip", b"x", 415, id="two codings"),
        pytest.param("gzip", b"x", 400, id="not packed"),
        pytest.param("gzip", gzip.compress(b"{}")[:-1], 400, id="cut short"),
        pytest.param("gzip", gzip.compress(b"{}") + b"x", 400, id="too long"),
        pytest.param("gzip", b"", 400, id="empty"),
        pytest.param("gzip", gzip.compress(bytes(60_000_000)), 413, id="bomb"),
    ],
)
def test_bodies_that_cannot_be_unpacked(server, coding, body, status):
    answer = httpx.post(server.url + PREDICT, content=body, headers={"content-encoding": coding})
    assert answer.status_code == status and answer.json()["error"]
