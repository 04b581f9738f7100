import os
import signal
from threading import Event, Thread

import numpy as np
import pytest

from twoface.core.blas import _libraries, one_blas_thread
from twoface.core.mesh import template_mesh
from twoface.core.mesh_shape import mesh_shape
from twoface.core.register import register


@pytest.fixture
def threads():
    """How many threads BLAS works with, from a start of 2: numpy's, not those of libraries that came after it."""
    blas = _libraries()
    if not blas.lib_controllers:
        pytest.skip("numpy's BLAS here cannot be told how many threads to use")
    with blas.limit(limits=2):
        yield lambda: {library.num_threads for library in blas.lib_controllers}


def test_one_thread_within_and_as_many_as_before_after(threads):
    assert threads() == {2}
    with one_blas_thread():
        assert threads() == {1}
        with one_blas_thread():
            assert threads() == {1}
        assert threads() == {1}
    assert threads() == {2}


def test_an_error_within_restores_them_too(threads):
    with pytest.raises(ValueError), one_blas_thread():
        raise ValueError
    assert threads() == {2}


def test_two_threads_take_turns_so_that_neither_keeps_the_other_s_number():
    blas = _libraries()
    before, order, entered = [library.num_threads for library in blas.lib_controllers], [], Event()

    def first():
        with one_blas_thread():
            entered.set()
            other.join(0.2)  # it waits for this one
            order.append("first")

    def second():
        entered.wait(10)
        with one_blas_thread():
            order.append("second")

    other = Thread(target=second)
    workers = [other, Thread(target=first)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(10)
    assert order == ["first", "second"]
    assert [library.num_threads for library in blas.lib_controllers] == before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork")
def test_a_process_forked_while_another_thread_is_within_can_enter():
    entered, leave = Event(), Event()

    def stay():
        with one_blas_thread():
            entered.set()
            leave.wait(30)

    other = Thread(target=stay)
    other.start()
    entered.wait(10)
    child = os.fork()
    if child == 0:
        signal.alarm(10)  # which ends one that waits
        with one_blas_thread():
            os._exit(0)
    leave.set()
    other.join(10)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize("what", ["register", "likely"])
def test_a_fill_solves_on_one_thread(threads, what, monkeypatch):
    seen, solve = [], np.linalg.solve
    monkeypatch.setattr(np.linalg, "solve", lambda *given: (seen.append(threads()), solve(*given))[1])
    points = template_mesh()
    if what == "register":
        register(points, points)
    else:
        mesh_shape().likely(points[:, :2], np.ones(len(points)))
    assert seen and all(number == {1} for number in seen)
