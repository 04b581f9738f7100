import pytest

from twoface.core.errors import InputError
from twoface.serving.auth import Keys, key_of

FIRST, SECOND = "first-key-of-twenty", "second-key-of-twenty"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "keys"
    path.write_text(f"# mine\n{FIRST}\n\n  {SECOND}  \n")
    return path


def test_every_key_of_the_file_is_valid_and_nothing_else(file):
    keys = Keys(file)
    assert keys.valid(FIRST) and keys.valid(SECOND)
    for other in ("", "# mine", FIRST[:-1], FIRST + "x", FIRST.upper(), f"{FIRST}\n", "\udcff", "ä" * 20):
        assert not keys.valid(other)


def test_a_changed_file_is_read_again(file):
    keys = Keys(file)
    file.write_text("a-new-key-of-twenty-letters")
    assert keys.valid("a-new-key-of-twenty-letters") and not keys.valid(FIRST)


@pytest.mark.parametrize("content", [b"", b"# none\n", b"short\n", b"\xff\xfe" * 20, None])
def test_a_file_without_good_keys_is_an_error_at_the_start_and_changes_nothing_later(file, content, caplog):
    keys = Keys(file)
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    assert keys.valid(FIRST) and not keys.valid("short")
    assert "stay as they were" in caplog.text and FIRST not in caplog.text
    with pytest.raises(InputError) as error:
        Keys(file)
    assert "short" not in str(error.value)


def test_a_file_that_could_not_be_read_is_tried_again(file, monkeypatch):
    keys = Keys(file)
    file.write_text("a-new-key-of-twenty-letters")
    with monkeypatch.context() as patch:
        patch.setattr("builtins.open", lambda *_, **__: (_ for _ in ()).throw(OSError("too many open files")))
        assert keys.valid(FIRST)
    assert keys.valid("a-new-key-of-twenty-letters") and not keys.valid(FIRST)


def test_where_a_key_may_stand():
    assert key_of({"authorization": "Bearer abc"}) == key_of({"authorization": "bearer  abc "}) == "abc"
    assert key_of({"x-api-key": "abc"}) == "abc"
    assert key_of({"authorization": "Basic abc"}) == key_of({}) == ""
