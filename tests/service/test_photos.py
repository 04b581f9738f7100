"""The photo API of a real server, by what its clients would send."""

import base64
import gzip
import io
import json
import os
import re
import signal
import struct
import tempfile
import zlib
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pytest
from fakes import until
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from serving import network_file, running

from twoface import Inpainter
from twoface.client import PhotoClient
from twoface.core.errors import InputError, Unavailable
from twoface.core.images import encode_photo, read_photo
from twoface.service.photos import PATHS

FIXED = settings(
    max_examples=40, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
LIMITS = {"photo_workers": 1, "photo_bytes": 2_000_000, "photo_pixels": 1_000_000, "photo_queue": 2}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running(network_file(tmp_path_factory.mktemp("served")), **LIMITS) as server:
        yield server


@pytest.fixture(scope="module")
def client(server):
    with httpx.Client(base_url=server.url, timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def photo(samples):
    return (samples / "photo.jpg").read_bytes()


@pytest.fixture(scope="module")
def reference(samples):
    return (samples / "reference.jpg").read_bytes()


def png(pixels):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def fill(client, photo, *others, **fields):
    """Send a form -> the response. others: (name, bytes) of more files."""
    query = {name: fields.pop(name) for name in ("answer",) if name in fields}
    files = [("photo", photo), *others]
    return client.post("/v1/fill", data=fields, files=files, params=query)


def error(response, status, words, code=None):
    said = response.json()
    assert response.status_code == status and re.search(words, said["error"]), said
    assert "\n" not in said["error"] and said.get("code") == code
    return said


def test_the_answer_is_what_fill_gives(client, photo, reference, samples, tmp_path):
    answer = fill(client, photo, ("references", reference), hole="eyes", format="png")
    assert answer.status_code == 200 and answer.headers["content-type"] == "image/png"
    here = Inpainter.load(network_file(tmp_path), threads=1).fill(photo, hole="eyes", reference=reference)
    assert np.array_equal(read_photo(answer.content).pixels, here.photo.pixels)
    report, mine = json.loads(answer.headers["x-two-face-report"]), json.loads(json.dumps(here.report()))
    assert report["changed"] == mine["changed"] and report["hole"] == mine["hole"]
    assert report["references"][0]["name"] == "reference 1"
    assert report["identity"]["same_person"] is True


def test_json_by_query_or_accept(client, photo):
    asked = fill(client, photo, hole="eyes", answer="json", format="webp")
    accepted = client.post(
        "/v1/fill",
        data={"hole": "eyes", "format": "webp"},
        files={"photo": photo},
        headers={"accept": "application/json"},
    )
    for answer in (asked, accepted):
        said = answer.json()
        assert said["format"] == "webp" and said["report"]["size"] == [512, 512]
        assert read_photo(base64.b64decode(said["picture"])).format == "WEBP"
    both = client.post(
        "/v1/fill",
        data={"hole": "eyes"},
        files={"photo": photo},
        headers={"accept": "image/jpeg, application/json;q=0.5"},
    )
    assert both.headers["content-type"] == "image/jpeg"


def test_faces_come_with_the_frame_that_fill_takes(client, photo):
    said = client.post("/v1/faces", files={"photo": photo}).json()
    assert (said["width"], said["height"], len(said["faces"])) == (512, 512, 1)
    frame = ",".join(map(str, said["faces"][0]["frame"]))
    found, given = (
        json.loads(fill(client, photo, hole="mouth", **face).headers["x-two-face-report"])
        for face in ({}, {"face": frame})
    )
    assert np.allclose(found["transform"], given["transform"])


def test_every_field_arrives(client, photo, reference, samples):
    mask = np.zeros((512, 512), np.uint8)
    mask[100:150, 190:260] = 255
    stranger = (samples / "stranger.jpg").read_bytes()
    answer = fill(
        client,
        photo,
        ("mask", png(mask)),
        ("references", stranger),
        ("references", reference),
        reference_faces=["", "140,30,310,200,3"],
        feather="5",
        quality="50",
    )
    report = json.loads(answer.headers["x-two-face-report"])
    assert report["hole"]["box"] == [190, 100, 260, 150] and report["changed"] == [185, 95, 265, 155]
    assert report["references"][1]["face"] == [140, 30, 310, 200, 3] and report["reference_used"] == 1
    assert len(answer.content) < len(fill(client, photo, hole="100,100,150,150", face="60,10,320,270").content)


@pytest.mark.parametrize(
    "fields, status, words, code",
    [
        ({}, 400, "give a mask or a hole", None),
        ({"hole": "chin"}, 400, "unknown hole", None),
        ({"hole": "1,2,3"}, 400, "not a box", None),
        ({"hole": "5,5,9999,9"}, 400, "does not fit", None),
        ({"hole": "0,0,9,9"}, 422, "off the face", "mask_outside"),
        ({"hole": "eyes", "face": "a"}, 400, "not a square", None),
        ({"hole": "eyes", "face": "nan,nan,nan,nan,nan"}, 400, "^face holds NaN", None),
        ({"hole": "1,2,NaN,4"}, 400, "^hole holds NaN", None),
        ({"hole": "eyes", "face": "0,0,50,90"}, 422, "make both the same", "not_square"),
        ({"hole": "eyes", "reference_faces": "0,0,50,50"}, 400, "a face for each", None),
        ({"hole": "eyes", "feather": "-1"}, 422, "feather", None),
        ({"hole": "eyes", "feather": "nan"}, 422, "^feather must be a number, not NaN$", None),
        ({"hole": "eyes", "quality": "many"}, 422, "^quality must be a whole number$", None),
        ({"hole": "eyes", "center_size": "0"}, 422, "^center_size must be 1 or more$", None),
        ({"hole": "eyes", "quality": "101"}, 422, "^quality must be 100 or less$", None),
        ({"hole": "eyes", "format": "gif"}, 422, "^format must be 'jpeg', 'png', 'webp' or 'tiff'$", None),
        ({"hole": "eyes", "answer": "yaml"}, 422, "^answer must be 'picture' or 'json'$", None),
        ({"hole": "eyes", "references[]": "x"}, 422, "unknown field .*did you mean 'references'", "unknown_field"),
        ({"hole": "eyes", "qualiti": "9"}, 422, "did you mean 'quality'", "unknown_field"),
        ({"hole": ["eyes", "nose"]}, 422, "'hole' is there 2 times", "field_twice"),
    ],
)
def test_fields_that_cannot_be_used(client, photo, fields, status, words, code):
    error(fill(client, photo, **fields), status, words, code)


def test_the_words_of_the_command_line_are_taken(client, photo, reference):
    face = "140,30,310,200"
    named = [("references", reference), ("reference", reference)]
    reports = [
        json.loads(fill(client, photo, file, hole="eyes", **{word: face}).headers["x-two-face-report"])
        for file, word in zip(named, ("reference_faces", "reference_face"), strict=True)
    ]
    assert reports[0]["references"] == reports[1]["references"] and reports[1]["references"][0]["face"][:2] == [140, 30]


def test_a_query_that_nobody_knows_is_said(client, photo):
    sent = client.post("/v1/fill?anser=json", data={"hole": "eyes"}, files={"photo": photo})
    error(sent, 422, "unknown query parameter 'anser': did you mean 'answer'", "unknown_field")


def test_a_part_without_a_file_name_is_its_bytes(client, photo):
    head = b'--x\r\nContent-Disposition: form-data; name="%s"\r\n\r\n'
    body = head % b"photo" + photo + b"\r\n" + head % b"mask" + b"\r\n" + head % b"hole" + b"eyes\r\n--x--\r\n"
    answer = client.post("/v1/fill", content=body, headers={"content-type": "Multipart/Form-Data; boundary=x"})
    assert answer.status_code == 200 and answer.headers["content-type"] == "image/jpeg"


def test_a_form_may_come_packed(client, photo):
    form = client.build_request("POST", "/v1/faces", files={"photo": photo})
    headers = {"content-type": form.headers["content-type"], "content-encoding": "gzip"}
    answer = client.post("/v1/faces", content=gzip.compress(form.read()), headers=headers)
    assert len(answer.json()["faces"]) == 1


def test_no_photo_is_put_into_a_file(client, monkeypatch):
    monkeypatch.setattr(tempfile.SpooledTemporaryFile, "rollover", lambda _: pytest.fail("it is written to the disk"))
    answer = client.post("/v1/faces", files={"photo": bytes(1_900_000)})  # more than starlette keeps in memory
    assert (answer.status_code, answer.json()["code"]) == (415, "not_a_picture")


def test_pictures_that_cannot_be_used(client, photo):
    empty, small = np.zeros((512, 512), np.uint8), np.full((100, 100), 255, np.uint8)
    plain = png(np.full((200, 200, 3), 90, np.uint8))
    head = b"IHDR" + struct.pack(">II", 30_000, 30_000) + plain[24:29]
    bomb = plain[:12] + head + struct.pack(">I", zlib.crc32(head)) + plain[33:]  # so large, it says
    eyes = {"hole": "eyes"}
    error(fill(client, b"hello", **eyes), 415, "the photo is not a picture", "not_a_picture")
    error(fill(client, b"", **eyes), 415, "the photo is not a picture", "not_a_picture")
    error(fill(client, photo[: len(photo) // 2], **eyes), 422, "the photo is damaged", "damaged")
    said = error(fill(client, plain, **eyes), 422, "no face was found in the photo", "no_face")
    assert "--" not in said["error"]
    error(fill(client, bomb, **eyes), 413, "the photo has more than 1 megapixels", "too_many_pixels")
    error(fill(client, photo, ("mask", bomb)), 413, "the mask has more", "too_many_pixels")
    error(fill(client, photo, ("mask", png(empty))), 422, "mask is empty", "mask_empty")
    error(fill(client, photo, ("mask", png(255 - empty))), 422, "is it inverted", "mask_inverted")
    error(fill(client, photo, hole="auto"), 422, "nothing in front of the face was found", "nothing_found")
    error(fill(client, photo, ("mask", png(small))), 400, "the mask is 100x100, the photo 512x512")
    error(fill(client, photo, ("mask", b"hello")), 415, "the mask is not a picture", "not_a_picture")
    error(fill(client, photo, ("references", b"hello"), **eyes), 415, "reference 1 is not", "not_a_picture")
    said = error(fill(client, photo, ("references", plain), **eyes), 422, "^no face was found in ref.* 1:", "no_face")
    assert said["reference"] == "reference 1"
    error(fill(client, photo, ("references", photo), **eyes), 422, "^reference 1 is the photo itself", "same_photo")
    error(client.post("/v1/faces", files={"photo": b"hello"}), 415, "not a picture", "not_a_picture")


def test_bodies_that_are_no_form(client, photo):
    form = {"content-type": "multipart/form-data; boundary=x"}
    error(client.post("/v1/fill", json={"photo": "x"}), 415, "multipart", "content_type")
    error(client.post("/v1/fill"), 415, "multipart", "content_type")
    packed = {**form, "content-encoding": "br"}
    error(client.post("/v1/fill", content=b"x", headers=packed), 415, "Content-Encoding", "encoding")
    error(client.post("/v1/fill", content=b"", headers=form), 422, "photo is missing")
    error(client.post("/v1/fill", content=b"nonsense", headers=form), 400, "multipart")
    no_boundary = {"content-type": "multipart/form-data"}
    error(client.post("/v1/fill", content=b"x", headers=no_boundary), 400, "boundary")
    cut = b'--x\r\nContent-Disposition: form-data; name="photo"; filename="a"\r\n\r\n' + photo[:1000]
    error(client.post("/v1/fill", content=cut, headers=form), 422, "photo is missing")
    sent = {"data": {"photo": "text", "hole": "eyes"}, "files": {"references": b""}}
    error(client.post("/v1/fill", **sent), 415, "the photo is not a picture", "not_a_picture")
    error(client.post("/v1/fill", files={"photo": b"x", "hole": b"eyes"}), 422, "^hole must be text, not a file$")


def test_too_much(client, photo, reference):
    many = [("references", reference)] * 9
    error(fill(client, photo, *many, hole="eyes"), 422, "references")
    error(fill(client, photo, *many, *many, hole="eyes"), 400, "[Tt]oo many files")
    error(fill(client, photo, hole="eyes", **{f"field {n}": "x" for n in range(100)}), 400, "[Tt]oo many fields")
    error(fill(client, bytes(100_000_000), hole="eyes"), 413, "larger than 2.0 MB", "too_large")
    assert client.post("/v1/faces", files={"photo": photo}).status_code == 200


def test_a_name_of_a_file_is_used_for_nothing(client, photo, tmp_path):
    name = f"../../{tmp_path}/<b>evil\\x.jpg"
    sent = {"hole": "eyes", "same_photo": "true"}
    answer = client.post("/v1/fill", data=sent, files={"photo": (name, photo), "references": (name, photo)})
    assert answer.status_code == 200 and "evil" not in str(answer.headers)
    refused = client.post("/v1/fill", data={"hole": "eyes"}, files={"photo": (name, b"hello")})
    assert "evil" not in refused.text
    assert not list(tmp_path.iterdir())


def worker_of(server):
    """The process of the photo API; its `task` is what it is at."""
    (worker,) = server.config.app.state.engine.switched[0].__self__._pool._workers
    return worker


def test_a_full_queue_says_when_to_come_back(server, client, photo):
    process = worker_of(server).process.pid
    os.kill(process, signal.SIGSTOP)
    with ThreadPoolExecutor(5) as pool:
        answers = [pool.submit(fill, client, photo, hole="eyes") for _ in range(5)]
        until(lambda: sum(answer.done() for answer in answers) == 2)  # one is in work, two wait
        os.kill(process, signal.SIGCONT)
    answers = sorted((answer.result() for answer in answers), key=lambda answer: answer.status_code)
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    assert answers[-1].headers["retry-after"] == "1" and answers[-1].json()["code"] == "busy"


def test_a_deadline_that_passes(client, photo):
    for milliseconds in ("0", "1"):
        late = client.post(
            "/v1/fill", data={"hole": "eyes"}, files={"photo": photo}, headers={"x-request-timeout-ms": milliseconds}
        )
        error(late, 504, "time", "timeout")
    assert fill(client, photo, hole="eyes").status_code == 200  # by the same process, not killed for that


def test_a_new_version_is_followed(tmp_path, photo, reference):
    network_file(tmp_path / "1", "model.onnx", gain=1.0)
    with running(tmp_path, photo_workers=1) as server:
        client = PhotoClient(server.url)

        def brightness():
            filled = client.fill(photo, references=[reference], hole="eyes", feather=0, format="png")
            x0, y0, x1, y1 = filled.report["hole"]["box"]
            return read_photo(filled.picture).pixels[y0:y1, x0:x1].mean()

        before = brightness()
        (tmp_path / "next").mkdir()
        network_file(tmp_path / "next", "model.onnx", gain=0.0, offset=1.0)
        os.rename(tmp_path / "next", tmp_path / "2")
        for _ in range(200):
            if brightness() > before + 20:
                break
        else:
            raise AssertionError("the photo API stays with the old version")


def test_without_photo_workers_there_is_no_photo_api(tmp_path, photo):
    with running(network_file(tmp_path)) as server, httpx.Client(base_url=server.url) as client:
        assert fill(client, photo, hole="eyes").status_code == 404
        assert "/v1/fill" not in client.get("/openapi.json").json()["paths"]


def test_the_client(server, client, photo, reference, samples, tmp_path):
    ours = PhotoClient(server.url)
    faces = ours.faces(samples / "photo.jpg")
    filled = ours.fill(
        samples / "photo.jpg",
        hole=(190, 100, 260, 150),
        references=[reference, samples / "stranger.jpg"],
        face=faces[0]["frame"],
        reference_faces=[None, (100, 100, 300, 300)],
        feather=3,
        format="png",
    )
    assert filled.report["hole"]["box"] == [190, 100, 260, 150] and filled.report["reference_used"] == 0
    assert read_photo(filled.picture).size == (512, 512)
    mask = np.zeros((512, 512, 3), np.uint8)
    mask[100:150, 190:260] = 255
    assert ours.fill(photo, mask=encode_photo(read_photo(png(mask)), "PNG")).report["hole"]["pixels"] == 3500
    with pytest.raises(InputError, match="unknown hole"):
        ours.fill(photo, hole="chin")
    with pytest.raises(InputError, match="no face") as caught:
        ours.faces(png(np.zeros((99, 99, 3), np.uint8))) or ours.fill(png(np.zeros((99, 99, 3), np.uint8)), hole="eyes")
    assert caught.value.code == "no_face"
    with pytest.raises(InputError, match="does not exist"):
        ours.faces(tmp_path / "none.jpg")
    with pytest.raises(InputError, match="no photo API"):
        PhotoClient(f"grpc://{server.grpc}")
    with pytest.raises(Unavailable, match="twoface serve"):
        PhotoClient("http://127.0.0.1:9", timeout=2).faces(photo)
    ours.close()


def test_the_client_waits_while_the_server_is_busy(server, photo):
    ours = PhotoClient(server.url)
    with ThreadPoolExecutor(6) as pool:
        assert len(list(pool.map(lambda _: ours.faces(photo), range(6)))) == 6


def test_openapi_says_what_is_answered(client):
    paths = client.get("/openapi.json").json()["paths"]
    answers = paths["/v1/fill"]["post"]["responses"]
    assert {"image/jpeg", "image/png", "image/webp", "image/tiff", "application/json"} == set(answers["200"]["content"])
    assert {"400", "413", "415", "422", "429", "503", "504"} <= set(answers)
    for status in set(answers) - {"200"}:
        assert "error" in answers[status]["content"]["application/json"]["schema"]["required"], status


def test_a_process_that_is_killed_fails_its_call_alone(server, client, photo):
    worker = worker_of(server)
    os.kill(worker.process.pid, signal.SIGSTOP)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(fill, client, photo, hole="eyes")
        until(lambda: worker.task)
        worker.process.kill()
        said = answer.result()
    assert said.status_code == 500 and said.json()["code"] == "worker_died"
    assert PhotoClient(server.url).fill(photo, hole="eyes").report["size"] == [512, 512]


def test_the_openapi_document_holds(server):
    """Schemathesis, with what the document allows and with what it forbids."""
    import schemathesis  # not by every process of the tests: it takes two seconds
    from schemathesis import GenerationMode, checks

    document = schemathesis.openapi.from_url(server.url + "/openapi.json")
    unfit = [checks.positive_data_acceptance]  # that a string of bytes is a photo is more than JSON Schema can tell
    for path in PATHS:
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):

            @given(document[path]["POST"].as_strategy(generation_mode=mode))
            @settings(FIXED, max_examples=15)
            def holds(case):
                case.call_and_validate(excluded_checks=unfit)

            holds()


@given(data=st.data())
@FIXED
def test_forms_that_are_damaged(client, photo, data):
    """Bytes of a good form changed, cut out, or put in twice: an answer of ours, and never a picture made up."""
    request = client.build_request("POST", "/v1/fill", data={"hole": "0,0,9,9"}, files={"photo": photo[:300]})
    body = bytearray(request.read())
    for _ in range(data.draw(st.integers(1, 3))):
        start, stop = sorted(data.draw(st.tuples(*[st.integers(0, len(body))] * 2)))
        body[start:stop] = data.draw(st.sampled_from([b"", b"\r\n", b"--", b"\0", bytes(body[start:stop]) * 2]))
    answer = client.post("/v1/fill", content=bytes(body), headers={"content-type": request.headers["content-type"]})
    assert answer.status_code in (400, 415, 422), answer.text
    assert set(answer.json()) <= {"error", "code"}


def test_and_the_server_lives(client, photo):
    """Runs last in this file."""
    assert fill(client, photo, hole="eyes").status_code == 200
