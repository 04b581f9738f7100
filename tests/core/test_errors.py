import pickle

import pytest

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
    assert (error.code, error.retry_after, error.numbers) == ("busy", 3, {"waiting": 16})
