import ast
import pickle
import re
from pathlib import Path

import pytest

import twoface.core
from twoface.core.errors import InputError, TwoFaceError, Unavailable


@pytest.mark.parametrize(
    "error",
    [
        InputError("no face in me.jpg", code="no_face"),
        TwoFaceError("the network failed"),
        Unavailable("busy", code="busy", retry_after=2),
    ],
)
def test_errors_travel_between_processes_whole(error):
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error) and str(copy) == str(error) and vars(copy) == vars(error)


def test_what_is_not_said_is_empty():
    assert InputError("x").code == "" and Unavailable("x").retry_after is None


def test_what_is_not_available_keeps_its_numbers():
    error = Unavailable("later", code="busy", retry_after=3, waiting=16)
    assert (error.code, error.retry_after, error.facts) == ("busy", 3, {"waiting": 16})


def test_no_text_of_the_core_names_an_option():
    core = Path(twoface.core.__path__[0])
    parsed = {path: ast.parse(path.read_text()) for path in core.rglob("*.py")}
    texts = [(path.name, node.value) for path, tree in parsed.items() for node in ast.walk(tree) if is_text(node)]
    assert len(texts) > 500
    assert [text for text in texts if re.search("--[a-z]", text[1])] == []


def is_text(node):
    return isinstance(node, ast.Constant) and isinstance(node.value, str)
