import errno
import io
import json
import os
import signal
import struct
import sys
import zlib
from functools import cache, partial

import cv2
import numpy as np
import pytest
from fakes import FakeOcclusion, textured, write_network
from PIL import Image

import twoface
from twoface.cli import _with_option, main
from twoface.core import inpainter
from twoface.core.errors import InputError
from twoface.core.identity import Threshold

FACE = "20,20,180,180"
LOADED = {name: cache(getattr(inpainter, name)) for name in ("FaceDetector", "Embedder", "Mesher", "Occlusion")}


@pytest.fixture(autouse=True)
def loaded_once(monkeypatch):
    """The small networks that ship are loaded for the first command; the network that fills, for each."""
    for name, load in LOADED.items():
        monkeypatch.setattr(inpainter, name, load)


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """A folder with a photo and a network, and the working directory."""
    monkeypatch.chdir(tmp_path)
    Image.fromarray(textured(200, 240)).save("photo.png")
    Image.fromarray(textured(220, 200, seed=1)).save("other.png")
    write_network("network.onnx")
    (tmp_path / "out").mkdir()
    return tmp_path


def fill(*arguments, photo="photo.png", out="out/result.png"):
    """Exit code of a fill of the square FACE with the tiny network; later arguments win."""
    return call("fill", photo, "-o", out, "--model", "network.onnx", "--face", FACE, *arguments)


def call(*arguments):
    try:
        return main(list(arguments))
    except SystemExit as exit:
        return exit.code


@pytest.fixture
def fails(shop, capsys):
    """Check that a fill is refused with one line and leaves nothing behind -> the line."""

    def check(*arguments, code=2, **options):
        before = sorted(path.relative_to(shop) for path in shop.rglob("*"))
        assert fill(*arguments, **options) == code
        printed = capsys.readouterr()
        assert printed.out == ""
        assert printed.err.startswith("twoface: ") and printed.err.count("\n") == 1
        assert sorted(path.relative_to(shop) for path in shop.rglob("*")) == before
        return printed.err

    return check


def save_mask(*boxes, size=(240, 200), path="mask.png"):
    mask = np.zeros(size[::-1], np.uint8)
    for x0, y0, x1, y1 in boxes:
        mask[y0:y1, x0:x1] = 255
    Image.fromarray(mask).save(path)
    return path


def test_fill_writes_the_photo_and_nothing_outside_the_hole_changes(shop, capsys):
    assert fill("--mask", save_mask((80, 80, 120, 110)), "--feather", "3") == 0
    before, after = (np.array(Image.open(path)) for path in ("photo.png", "out/result.png"))
    changed = np.argwhere((before != after).any(2))
    assert len(changed) > 100
    assert changed.min(0).tolist() >= [77, 77] and (changed.max(0) < [113, 123]).all()
    printed = capsys.readouterr()
    assert "out/result.png" in printed.out and " s in all" in printed.out and "no reference" in printed.out
    assert printed.err == ""


def test_fill_reports_and_writes_the_crops(shop, capsys):
    reference = "--reference", "photo.png", "--reference-face", FACE, "--same-photo"
    assert fill("--hole", "center", *reference, "--report", "out/report.json", "--crops", "out/crops") == 0
    printed = capsys.readouterr().out
    report = json.loads((shop / "out/report.json").read_text())
    assert report["face"] == [20, 20, 180, 180]
    assert f"{report['identity']['similarity_result_reference']:.2f} between result and reference" in printed
    assert "photo.png, the only one given" in printed and "very likely the same person" in printed
    crops = {path.stem: np.array(Image.open(path)) for path in (shop / "out/crops").iterdir()}
    assert {name: crop.shape for name, crop in crops.items()} == dict.fromkeys(
        ("masked", "filled", "mask", "reference"), (128, 128, 3)
    )
    hole = crops["mask"][..., 0] == 255
    assert set(np.unique(crops["mask"])) == {0, 255} and 0.03 < hole.mean() < 0.3
    assert (crops["masked"][hole] == 0).all() and (crops["filled"][hole] > 0).any()


def test_a_box_is_in_photo_pixels(shop):
    assert fill("--hole", "60,70,100,90", "--report", "out/report.json") == 0
    assert json.loads((shop / "out/report.json").read_text())["hole"]["box"] == [60, 70, 100, 90]


def test_auto_tells_what_it_found_or_asks(shop, capsys, fails, monkeypatch):
    monkeypatch.setattr("twoface.core.inpainter.Occlusion", lambda threads: FakeOcclusion())
    monkeypatch.setattr("twoface.core.inpainter.closed_eyes", lambda mesh: None)
    assert "or paint a mask (--hole NAME, --mask FILE)" in fails("--hole", "auto", photo="photo.png")
    found = textured(200, 240)
    found[70:95, 60:140] = (0, 255, 0)  # what the stand-in sees in front of a face
    Image.fromarray(found).save("bar.png")
    assert fill("--hole", "auto", "--report", "out/r.json", photo="bar.png") == 0
    assert "found      something in front of the face" in capsys.readouterr().out
    assert json.loads((shop / "out" / "r.json").read_text())["found"]["code"] == "something"


def test_center_size_sets_the_centre_square(shop):
    for size in (32, 64):
        assert fill("--hole", "center", "--center-size", str(size), "--report", "out/report.json", "--force") == 0
        x0, _, x1, _ = json.loads((shop / "out/report.json").read_text())["hole"]["box"]
        assert x1 - x0 == pytest.approx(size * 160 / 128, abs=2)


def test_a_jpeg_keeps_its_quality(shop):
    Image.fromarray(textured(200, 240)).save("photo.jpg", quality=61, subsampling=1)
    tables = Image.open("photo.jpg").quantization
    for options in ((), ("--quality", "keep")):
        assert fill("--hole", "eyes", "--force", *options, photo="photo.jpg", out="out/result.jpg") == 0
        assert Image.open("out/result.jpg").quantization == tables
    assert fill("--hole", "eyes", "--quality", "better") == 2


def test_an_error_names_the_option_that_helps():
    lost = InputError("no face was found", code="no_face")
    other = InputError("no face was found in you.jpg", code="no_face", reference="you.jpg")
    assert _with_option(lost) == "no face was found (--face X0,Y0,X1,Y1)"
    assert _with_option(other) == "no face was found in you.jpg (--reference-face X0,Y0,X1,Y1)"
    assert _with_option(InputError("the file is damaged", code="damaged")) == "the file is damaged"


def test_an_inverted_mask_is_turned_over(shop, capsys):
    save_mask((80, 90, 120, 110))
    assert fill("--mask", "mask.png") == 0
    Image.fromarray(255 - np.array(Image.open("mask.png"))).save("inverted.png")
    assert fill("--mask", "inverted.png", out="out/wrong.png") == 2
    assert "is it inverted? (--invert-mask)" in capsys.readouterr().err
    assert fill("--mask", "inverted.png", "--invert-mask", out="out/turned.png") == 0
    assert np.array_equal(*(np.array(Image.open(f"out/{name}.png")) for name in ("result", "turned")))
    assert fill("--hole", "eyes", "--invert-mask", "--force") == 2


def test_what_the_format_cannot_hold_is_told(shop, capsys):
    Image.fromarray(textured(200, 240)).convert("CMYK").save("photo.tif")
    assert fill("--hole", "eyes", "--report", "r.json", photo="photo.tif") == 0
    assert "twoface: warning: PNG holds no CMYK" in capsys.readouterr().err
    assert "CMYK" in json.loads((shop / "r.json").read_text())["warnings"][0]
    assert fill("--hole", "eyes", photo="photo.tif", out="out/result.tif") == 0
    assert "CMYK" not in capsys.readouterr().err and Image.open("out/result.tif").mode == "CMYK"


def test_quality_changes_the_file(shop):
    sizes = []
    for quality in ("30", "95"):
        assert fill("--hole", "eyes", "--quality", quality, "--force", out="out/result.jpg") == 0
        sizes.append((shop / "out/result.jpg").stat().st_size)
    assert sizes[0] < 0.7 * sizes[1]


def test_two_people_are_warned_of(shop, capsys, monkeypatch):
    monkeypatch.setattr("twoface.core.inpainter.threshold_for", lambda _: Threshold("eyes", 1.1, 0.44))
    assert fill("--hole", "eyes", "--reference", "other.png", "--reference-face", "10,10,190,190") == 0
    printed = capsys.readouterr()
    assert printed.err.startswith("twoface: warning: ") and "two people" in printed.err and "1.10" in printed.err
    assert "perhaps two people" in printed.out and "44% of wrong references" in printed.out


# Bad input: one line that says what to do, exit code 2, nothing written.


def test_photo_missing(fails):
    assert "none.png does not exist" in fails("--hole", "eyes", photo="none.png")


def test_not_an_image(fails, shop):
    (shop / "letter.jpg").write_text("dear")
    assert "letter.jpg is not a picture" in fails("--hole", "eyes", photo="letter.jpg")


def test_truncated(fails, shop):
    Image.fromarray(textured(200, 240)).save("whole.jpg")
    (shop / "half.jpg").write_bytes((shop / "whole.jpg").read_bytes()[:4000])
    assert "half.jpg is damaged or truncated" in fails("--hole", "eyes", photo="half.jpg")


def test_decompression_bomb(fails, shop):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(b"0"))
    (shop / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + header + pixels + chunk(b"IEND", b""))
    assert "more than 100 megapixels" in fails("--hole", "eyes", photo="bomb.png")


def test_mask_of_another_size(fails):
    assert "is 100x100, the photo 240x200" in fails("--mask", save_mask((10, 10, 20, 20), size=(100, 100)))


def test_mask_that_is_no_picture(fails, shop):
    (shop / "mask.png").write_text("white")
    assert "mask.png is not a picture" in fails("--mask", "mask.png")


def test_empty_mask(fails):
    assert "the mask is empty" in fails("--mask", save_mask())


def test_mask_off_the_face(fails):
    assert "off the face" in fails("--mask", save_mask((200, 185, 230, 198)))


def test_no_face_and_no_square(shop, capsys):
    Image.fromarray(np.full((200, 240, 3), 90, np.uint8)).save("wall.png")
    assert call("fill", "wall.png", "-o", "out/result.png", "--model", "network.onnx", "--hole", "eyes") == 2
    printed = capsys.readouterr().err
    assert "no face was found in wall.png" in printed and "--face" in printed and printed.count("\n") == 1
    assert not list((shop / "out").iterdir())


def test_no_face_in_the_reference(fails):
    Image.fromarray(np.full((200, 240, 3), 90, np.uint8)).save("wall.png")
    assert "--reference-face" in fails("--hole", "eyes", "--reference", "wall.png")


def test_reference_missing(fails):
    assert "none.jpg does not exist" in fails("--hole", "eyes", "--reference", "none.jpg")


@pytest.mark.parametrize("given", ["", ".", "out"])
def test_a_folder_for_a_photo(fails, given):
    assert f"{given or '.'} is a folder: give a file" in fails("--hole", "eyes", "--reference", given)
    assert f"{given or '.'} is a folder: give a file" in fails("--hole", "eyes", photo=given)


def test_one_reference_face_for_two_references(fails):
    references = "--reference", "other.png", "--reference", "photo.png"
    assert "give a face for each" in fails("--hole", "eyes", *references, "--reference-face", FACE)


@pytest.mark.parametrize("box", ["100,100,300,300", "100,100,90,90", "5000,0,6000,1000"])
def test_hole_outside_the_photo(fails, box):
    assert "does not fit the 240x200 picture" in fails("--hole", box)


@pytest.mark.parametrize("face", ["5000,0,6000,1000", "5000,0,6000,1000,0", "-600,-600,800,800"])
def test_face_outside_the_photo(fails, face):
    assert "lies outside photo.png" in fails("--hole", "eyes", f"--face={face}")


@pytest.mark.parametrize("report", ["out/../out/result.png", "photo.png", "other.png"])
def test_a_report_over_the_result_or_what_is_given(fails, report):
    given = "--hole", "eyes", "--reference", "other.png"
    assert "needs names of its own" in fails(*given, "--report", report, "--force")


@pytest.mark.parametrize("option", ["--api-key", "--ca"])
def test_what_is_for_a_backend_without_one(fails, option):
    assert "give --backend URL too" in fails("--hole", "eyes", option, "file")


def test_tries_of_references_that_are_given(fails):
    assert "--reference-from" in fails("--hole", "eyes", "--reference", "other.png", "--try", "3")


def test_the_same_photo_where_references_are_found(fails):
    assert "copies that are found are left out" in fails("--hole", "eyes", "--reference-from", "index", "--same-photo")


@pytest.mark.parametrize("box", ["", "1,2,3", "a,b,c,d", "1,2,3,4,5,6", "10 10 20 20"])
def test_box_that_is_none(fails, box):
    assert "is not a square" in fails("--hole", "eyes", "--face", box)


def test_face_that_is_not_square(fails):
    assert "160 pixels wide and 80 high: make both the same" in fails("--hole", "eyes", "--face", "20,20,180,100")
    assert "has no area" in fails("--hole", "eyes", "--face", "100,100,90,90,0")


def test_unknown_hole(fails):
    assert "unknown hole 'ear': use auto, one of center, eyes" in fails("--hole", "ear")


def test_mask_or_hole(fails):
    assert "one of the arguments --mask --hole is required" in fails()
    assert "not allowed with" in fails("--hole", "eyes", "--mask", "mask.png")


@pytest.mark.parametrize(
    ("option", "value"),
    [("--feather", "-1"), ("--feather", "inf"), ("--center-size", "129"), ("--quality", "0"), ("--threads", "0"),
     ("--threads", "two")],
)  # fmt: skip
def test_numbers_out_of_range(fails, option, value):
    assert option in fails("--hole", "eyes", option, value)


def test_unknown_option(fails):
    assert "unrecognized arguments: --blur" in fails("--hole", "eyes", "--blur", "3")
    assert "--mask --hole is required" in fails("--hol", "eyes")


def test_output_in_a_format_that_is_not_written(fails):
    assert "name the output .jpg, .png, .webp or .tif" in fails("--hole", "eyes", out="out/result.gif")
    assert "cannot write '.': name" in fails("--hole", "eyes", out=".")


def test_output_that_cannot_be_written(fails, shop):
    assert "does not exist: create it first" in fails("--hole", "eyes", out="none/result.png")
    assert "photo.png is a file: choose another place" in fails("--hole", "eyes", out="photo.png/result.png")
    (shop / "folder.png").mkdir()
    assert "is a folder" in fails("--hole", "eyes", out="folder.png")
    assert "does not exist" in fails("--hole", "eyes", "--report", "none/report.json")
    assert "does not exist" in fails("--hole", "eyes", "--crops", "none/crops")


@pytest.mark.parametrize("existing", ["result.png", "report.json", "crops/mask.png"])
def test_every_output_is_checked_before_the_work(fails, shop, monkeypatch, existing):
    (shop / "out/crops").mkdir()
    (shop / "out" / existing).write_text("mine")
    monkeypatch.setattr("twoface.core.inpainter.Inpainter.load", lambda *_: pytest.fail("worked before it looked"))
    message = fails("--hole", "eyes", "--report", "out/report.json", "--crops", "out/crops")
    assert f"{existing} exists: " in message and "(--force)" in message
    assert (shop / "out" / existing).read_text() == "mine"


def test_force_overwrites(shop):
    (shop / "out/result.png").write_text("mine")
    assert fill("--hole", "eyes", "--force") == 0
    assert Image.open("out/result.png").size == (240, 200)


def test_disk_full_leaves_nothing(fails, shop, monkeypatch):
    (shop / "out/result.png").write_text("mine")

    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert "No space left" in fails("--hole", "eyes", "--force", code=1)
    assert (shop / "out/result.png").read_text() == "mine"


def test_network_that_is_none(fails, shop):
    assert "no network at none.onnx" in fails("--hole", "eyes", "--model", "none.onnx")
    (shop / "bad.onnx").write_text("not a network")
    assert "not a readable ONNX" in fails("--hole", "eyes", "--model", "bad.onnx")


# Failures that are not the user's, and the other commands.


def test_failures_exit_with_1(fails, monkeypatch):
    def fail(*_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("twoface.core.inpainter.Inpainter.load", fail)
    assert "Input/output error" in fails("--hole", "eyes", code=1)


def test_ctrl_c_exits_with_130(fails, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("twoface.core.inpainter.Inpainter.load", interrupt)
    assert "interrupted" in fails("--hole", "eyes", code=130)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_while_writing_leaves_nothing(shop, monkeypatch, number):
    def end(handle):
        os.kill(os.getpid(), number)

    monkeypatch.setattr(os, "fsync", end)
    before = signal.signal(number, signal.SIG_DFL)  # SIGHUP may be ignored here, as under nohup
    try:
        assert fill("--hole", "eyes") == 128 + number
        assert signal.getsignal(number) is signal.SIG_DFL
    finally:
        signal.signal(number, before)
    assert not list((shop / "out").iterdir())


def test_a_signal_while_a_library_is_imported_is_no_error_of_the_library(shop, monkeypatch):
    def load(*_):
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        except SystemExit as error:
            raise ImportError("initialization failed") from error

    monkeypatch.setattr("twoface.core.inpainter.Inpainter.load", load)
    assert fill("--hole", "eyes") == 128 + signal.SIGTERM


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("std::bad_alloc"), "opencv"])
def test_missing_memory_is_said_in_one_line(fails, monkeypatch, error):
    def fail(*_):
        if error == "opencv":
            cv2.resize(np.zeros((1, 1), np.uint8), (2**30, 2**30))
        raise error

    monkeypatch.setattr("twoface.core.inpainter.Inpainter.load", fail)
    assert "not enough memory" in fails("--hole", "eyes", code=1)


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_a_terminal_that_cannot_show_a_name(shop, monkeypatch, encoding):
    """The picture is written, and its name told as far as it goes."""
    name = "Ωmega\udce9.png"
    os.rename("photo.png", name)
    streams = [io.TextIOWrapper(io.BytesIO(), encoding) for _ in range(2)]
    for stream, place in zip(streams, ("stdout", "stderr"), strict=True):
        monkeypatch.setattr(sys, place, stream)
    more = "--reference", name, "--reference-face", FACE, "--same-photo", "--report", "out/report.json"
    assert fill("--hole", "eyes", *more, photo=name, out=f"out/{name}") == 0
    assert b"mega\\udce9.png" in streams[0].buffer.getvalue()
    assert json.loads((shop / "out/report.json").read_text())["photo"] == name
    assert (shop / "out" / name).is_file()


@pytest.mark.parametrize(
    ("command", "at_once"),  # at once, as with PYTHONUNBUFFERED: noticed at the first line; else at the end
    [(fill, True), (fill, False), (partial(call, "fill", "--help"), False)],
)
def test_a_pipe_that_nobody_reads(shop, monkeypatch, capfd, command, at_once):
    reader, writer = os.pipe()
    os.close(reader)
    pipe = os.fdopen(writer, "wb", 0 if at_once else -1)
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(pipe, write_through=at_once))
    assert command("--hole", "eyes") == 128 + signal.SIGPIPE
    assert (shop / "out/result.png").is_file() == (command is fill) and capfd.readouterr().err == ""
    sys.stdout.close()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_a_disk_that_is_full_is_told(shop, monkeypatch, capfd):
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert fill("--hole", "eyes") == 1
        assert "cannot print what was done: No space left" in capfd.readouterr().err


def test_a_frame_may_begin_with_a_minus(shop):
    assert fill("--hole", "center", "--face", "-50,-20,200,230,0", "--reference", "other.png",
                "--reference-face", "-10,-10,190,190,-3.5") == 0  # fmt: skip


@pytest.mark.parametrize(
    ("module", "extra", "arguments"),
    [
        ("torch", "train", ["train", "x.toml", "--data", "d"]),
        ("torch", "train", ["export", "run", "-o", "x.onnx"]),
        ("skimage", "evaluate", ["evaluate", "--data", "d"]),
    ],
)
def test_missing_extras_are_named(shop, capsys, monkeypatch, module, extra, arguments):
    monkeypatch.setitem(sys.modules, module, None)
    assert call(*arguments) == 1
    printed = capsys.readouterr().err
    assert module in printed and f"pip install -e .[{extra}]" in printed and printed.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["batch", "none.csv", "-o", "out"], "none.csv does not exist"),
        (["data", "prepare", "none", "out"], "none is not a folder"),
        (["evaluate", "--data", "none", "--model", "network.onnx", "--out", "out"], "none not found: give a folder"),
        (["evaluate", "--photos", "out", "--model", "bad.txt"], "bad.txt is not a readable ONNX file"),
        (["evaluate", "--panel", "p", "--models", "network.onnx", "bad.txt"], "bad.txt is not a readable ONNX file"),
        (["evaluate", "--panel", "p", "--model", "network.onnx", "--models", "network.onnx"], "--model or --models"),
        (["train", "none.toml", "--data", "none"], "none.toml"),
        (["export", "none", "-o", "x.onnx"], "generator.safetensors not found"),
        (["explode"], "invalid choice: 'explode'"),
        ([], "COMMAND"),
        (["data"], "COMMAND"),
    ],
)
def test_bad_input_of_every_command(shop, capsys, arguments, message):
    (shop / "bad.txt").write_text("no network")
    assert call(*arguments) == 2
    printed = capsys.readouterr().err
    assert message in printed and printed.startswith("twoface: ") and printed.count("\n") == 1


@pytest.mark.parametrize("command", ["fill", "batch", "evaluate", "data prepare", "train", "export"])
def test_help_teaches_by_example(capsys, command):
    assert call(*command.split(), "--help") == 0
    assert f"\n  twoface {command} " in capsys.readouterr().out.partition("example")[2]


def test_version(capsys):
    assert call("--version") == 0
    assert capsys.readouterr().out == f"twoface {twoface.__version__}\n"
