"""`twoface client` and `twoface fill --backend`."""

import json

import numpy as np
import pytest
from PIL import Image
from serving import network_file, running

from twoface.cli import main
from twoface.client import PhotoClient
from twoface.core.errors import TwoFaceError
from twoface.core.images import Photo, encode_photo, read_photo

KEY = "a-key-that-is-long-enough"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """A server that wants a key; `key` is the file with it."""
    home = tmp_path_factory.mktemp("guarded")
    (home / "key").write_text(f"{KEY}\n")
    with running(network_file(home), photo_workers=1, api_keys=home / "key") as server:
        server.key = str(home / "key")
        yield server


@pytest.fixture
def there(guarded):
    """The options that lead there."""
    return ["--backend", guarded.url, "--api-key", guarded.key]


def test_client_fill(there, samples, tmp_path, capsys):
    paths = [str(samples / "photo.jpg"), "-o", str(tmp_path / "out.png"), "--reference", str(samples / "reference.jpg")]
    report = tmp_path / "report.json"
    assert main(["client", "fill", *paths, "--hole", "eyes", "--report", str(report), *there]) == 0
    said = capsys.readouterr().out
    assert "reference 1, the only one given" in said and "very likely the same person" in said
    assert read_photo(tmp_path / "out.png").size == (512, 512)
    assert json.loads(report.read_text())["reference_used"] == 0
    assert main(["client", "fill", *paths, "--hole", "eyes", *there]) == 2
    assert "--force" in capsys.readouterr().err


def test_an_inverted_mask_is_turned_over_before_it_goes(there, samples, tmp_path):
    mask = np.full((512, 512), 255, np.uint8)
    mask[110:150, 200:260] = 0
    Image.fromarray(mask).save(tmp_path / "inverted.png")
    options = ["--mask", str(tmp_path / "inverted.png"), "--invert-mask", "--report", str(tmp_path / "r.json")]
    out = str(tmp_path / "out.tif")
    assert main(["client", "fill", str(samples / "photo.jpg"), *options, "-o", out, *there]) == 0
    assert json.loads((tmp_path / "r.json").read_text())["hole"]["box"] == [200, 110, 260, 150]
    assert read_photo(out).format == "TIFF"


def test_client_fill_agrees_with_fill(there, samples, tmp_path):
    options = [str(samples / "photo.jpg"), "--hole", "eyes", "--face", "140,30,310,200,3", "--feather", "4"]
    assert main(["client", "fill", *options, "-o", str(tmp_path / "there.png"), *there]) == 0
    assert main(["fill", *options, "-o", str(tmp_path / "backend.png"), *there]) == 0
    model = network_file(tmp_path)
    assert main(["fill", *options, "-o", str(tmp_path / "here.png"), "--model", str(model)]) == 0
    here, there, backend = (read_photo(tmp_path / f"{name}.png").pixels for name in ("here", "there", "backend"))
    assert np.array_equal(here, there)
    assert np.abs(here.astype(int) - backend).max() <= 1


def test_client_faces_and_status(guarded, there, samples, capsys):
    assert main(["client", "faces", str(samples / "photo.jpg"), *there]) == 0
    (face,) = json.loads(capsys.readouterr().out)
    assert len(face["frame"]) == 5
    assert main(["client", "status", *there]) == 0
    assert f"{guarded.url} is ready" in capsys.readouterr().out
    assert main(["client", "status", "--backend", f"grpc://{guarded.grpc}", "--api-key", guarded.key]) == 0
    assert main(["client", "status", "--backend", "http://127.0.0.1:9", "--timeout", "2"]) == 1
    assert "not reachable" in capsys.readouterr().out


@pytest.mark.parametrize(
    "options, code, words",
    [
        (["--backend", "ftp://x"], 2, "is not a backend"),
        (["--backend", "http://127.0.0.1:9"], 1, "is 'twoface serve' running there"),
        (["--backend", "grpc://127.0.0.1:9", "--timeout", "2"], 1, "is 'twoface serve' running there"),
        (["--backend", "http://127.0.0.1:9", "--model", "x.onnx"], 2, "leave --model or --backend out"),
        (["--backend", "http://127.0.0.1:9", "--api-key", "none"], 2, "cannot read an API key"),
        (["--backend", "https://127.0.0.1:9", "--ca", "none"], 2, "PEM"),
    ],
)
def test_fill_with_a_backend_that_fails(samples, tmp_path, monkeypatch, capsys, options, code, words):
    monkeypatch.chdir(tmp_path)
    assert main(["fill", str(samples / "photo.jpg"), "--hole", "eyes", "-o", "out.png", *options]) == code
    said = capsys.readouterr().err
    assert words in said and said.count("\n") == 1
    assert not (tmp_path / "out.png").exists()


def test_of_a_reference_without_a_face_the_option_for_it_is_named(there, samples, tmp_path, capsys):
    (tmp_path / "grey.png").write_bytes(encode_photo(Photo(np.full((200, 200, 3), 90, np.uint8)), "PNG"))
    given = ["--hole", "eyes", "--reference", str(tmp_path / "grey.png"), "-o", str(tmp_path / "out.png")]
    assert main(["client", "fill", str(samples / "photo.jpg"), *given, *there]) == 2
    assert "no face was found in reference 1" in (said := capsys.readouterr().err) and "(--reference-face " in said


def test_a_key_that_is_missing(guarded, samples, tmp_path, capsys):
    assert main(["client", "faces", str(samples / "photo.jpg"), "--backend", guarded.url]) == 1
    assert "refuses the API key" in capsys.readouterr().err
    assert main(["client", "status", "--backend", guarded.url]) == 1


@pytest.mark.parametrize("answer", [(404, {}, b"<html>"), (200, {}, b"<html>"), (200, {}, b"[]")])
def test_a_server_that_is_not_ours(scripted, samples, answer):
    client = PhotoClient(scripted(answer).url)
    with pytest.raises(TwoFaceError, match="not a 'twoface serve'"):
        client.faces(samples / "photo.jpg")
    with pytest.raises(TwoFaceError, match="not a 'twoface serve'"):
        client.fill(samples / "photo.jpg", hole="eyes")
