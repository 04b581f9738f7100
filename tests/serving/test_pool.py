import asyncio
import os
import time

import cv2
import numpy as np
import pytest

from twoface.core.errors import InputError, TwoFaceError, Unavailable
from twoface.serving import pool as module
from twoface.serving.pool import Pool


def worker():
    """A setup: a process that says what it is and how many tasks it has done."""
    done = []

    def work(task):
        name, *arguments = task
        done.append(name)
        return TASKS[name](done, *arguments)

    return work


def other_worker():
    return lambda task: "other"


def broken():
    raise InputError("no network at all")


def dying():
    os._exit(9)


def fail(done, text):
    raise InputError(text, code="no_face")


def sleep(done, seconds):
    time.sleep(seconds)
    return os.getpid()


class Unreadable:
    """Memory lacks when it is unpickled."""

    def __reduce__(self):
        return no_room, ()


def no_room():
    raise MemoryError


TASKS = {
    "pid": lambda done: os.getpid(),
    "count": lambda done: (os.getpid(), len(done)),
    "sleep": sleep,
    "fail": fail,
    "crash": lambda done: os._exit(3),
    "fill": lambda done, size: len(bytearray(size)),
    "resize": lambda done, side: cv2.resize(np.zeros((1, 1), np.uint8), (side, side)).shape,
    "echo": lambda done, value: value,
}


def run(scenario, setup=worker, **options):
    """Run a scenario(pool) on a started pool -> what it returns."""

    async def walk():
        pool = Pool(setup, **options)
        try:
            await pool.start()
            return await scenario(pool)
        finally:
            await pool.close()

    return asyncio.run(walk())


def test_calls_and_errors_go_through():
    async def scenario(pool):
        assert await pool.call(("echo", b"x" * 3_000_000), 30) == b"x" * 3_000_000
        with pytest.raises(InputError, match="no face here") as error:
            await pool.call(("fail", "no face here"), 30)
        assert error.value.code == "no_face"
        assert (await pool.call(("count",), 30))[1] == 3  # the same process all along

    run(scenario)


def test_a_crash_fails_its_call_and_another_process_takes_its_place():
    async def scenario(pool):
        first = await pool.call(("pid",), 30)
        with pytest.raises(TwoFaceError, match="exit code 3") as error:
            await pool.call(("crash",), 30)
        assert error.value.code == "worker_died"
        assert await pool.call(("pid",), 30) != first

    run(scenario)


def test_a_process_that_dies_idle_is_replaced():
    async def scenario(pool):
        first = await pool.call(("pid",), 30)
        os.kill(first, 9)
        while pool.ready:
            await asyncio.sleep(0.01)
        assert await pool.call(("pid",), 30) != first

    run(scenario)


def test_a_late_call_is_killed():
    async def scenario(pool):
        first = await pool.call(("pid",), 30)
        with pytest.raises(Unavailable, match="longer than 0.2 seconds") as error:
            await pool.call(("sleep", 60), 0.2)
        assert error.value.code == "timeout"
        assert await pool.call(("pid",), 30) != first
        with pytest.raises(ProcessLookupError):
            os.kill(first, 0)

    run(scenario)


def test_a_call_that_waits_too_long_disturbs_nobody():
    async def scenario(pool):
        busy = asyncio.create_task(pool.call(("sleep", 1), 30))
        await asyncio.sleep(0)
        with pytest.raises(Unavailable, match="longer"):
            await pool.call(("echo", 1), 0.1)
        assert await busy == await pool.call(("pid",), 30)

    run(scenario)


def test_a_full_queue_refuses_at_once():
    async def scenario(pool):
        calls = [asyncio.create_task(pool.call(("sleep", 0.3), 30)) for _ in range(3)]
        await asyncio.sleep(0)
        assert pool.waiting == 2
        with pytest.raises(Unavailable) as error:
            await pool.call(("pid",), 30)
        assert error.value.code == "busy" and error.value.retry_after
        assert len(set(await asyncio.gather(*calls))) == 1  # those in the queue are done

    run(scenario, queue=2)


def test_without_a_queue_only_a_free_process_is_used():
    async def scenario(pool):
        busy = asyncio.create_task(pool.call(("sleep", 0.3), 30))
        await asyncio.sleep(0)
        with pytest.raises(Unavailable):
            await pool.call(("pid",), 30)
        assert await busy == await pool.call(("pid",), 30)

    run(scenario, queue=0)


def test_a_key_keeps_its_process():
    async def scenario(pool):
        keys = [f"key {number}" for number in range(8)]
        first = [await pool.call(("pid",), 30, key=key) for key in keys]
        again = await asyncio.gather(*(pool.call(("pid",), 30, key=key) for key in keys))
        assert first == again and len(set(first)) == 2

    run(scenario, workers=2)


def test_others_pass_a_call_whose_process_is_busy():
    async def scenario(pool):
        busy, *_ = [asyncio.create_task(pool.call(("sleep", 60), 90, key="a")) for _ in range(2)]
        await asyncio.sleep(0)
        await pool.call(("echo", 1), 30)
        assert not busy.done()

    run(scenario, workers=2)


def test_a_cancelled_call_is_not_done():
    async def scenario(pool):
        busy = asyncio.create_task(pool.call(("sleep", 0.3), 30))
        waiting = asyncio.create_task(pool.call(("echo", 1), 30))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        assert waiting.cancelled() and pool.waiting == 0
        await busy
        assert (await pool.call(("count",), 30))[1] == 2  # sleep and count

    run(scenario)


def test_a_call_cancelled_at_work_cannot_hang_its_process():
    async def scenario(pool):
        first = await pool.call(("pid",), 30)
        busy = asyncio.create_task(pool.call(("sleep", 60), 0.3))
        await asyncio.sleep(0)
        busy.cancel()
        assert await pool.call(("pid",), 30) != first

    run(scenario)


def test_memory_is_limited():
    async def scenario(pool):
        with pytest.raises(TwoFaceError, match="not enough memory") as error:
            await pool.call(("fill", 2_000_000_000), 30)
        assert error.value.code == "no_memory"
        process = await pool.call(("pid",), 30)
        with pytest.raises(TwoFaceError, match="not enough memory"):
            await pool.call(("resize", 60_000), 30)  # OpenCV has an error of its own for that
        assert await pool.call(("pid",), 30) == process  # what it holds for others is unharmed

    run(scenario, memory=1_000_000_000)


def test_a_task_that_memory_has_no_room_for_is_refused():
    async def scenario(pool):
        process = await pool.call(("pid",), 30)
        with pytest.raises(TwoFaceError, match="not enough memory"):
            await pool.call(("echo", Unreadable()), 30)
        assert await pool.call(("pid",), 30) == process

    run(scenario)


def test_replace_loses_no_call():
    async def scenario(pool):
        calls = [asyncio.create_task(pool.call(("sleep", 0.5), 30)) for _ in range(2)]
        await asyncio.sleep(0)
        old = asyncio.create_task(pool.replace(other_worker))
        first, second = await asyncio.gather(*calls)
        await old
        assert isinstance(first, int) and second in (first, "other")
        assert await pool.call(("pid",), 30) == "other"
        with pytest.raises(ProcessLookupError):
            os.kill(first, 0)

    run(scenario)


def test_replace_with_what_cannot_start_changes_nothing():
    async def scenario(pool):
        first = await pool.call(("pid",), 30)
        with pytest.raises(InputError, match="no network"):
            await pool.replace(broken)
        with pytest.raises(TwoFaceError, match="exit code 9"):
            await pool.replace(dying)
        assert await pool.call(("pid",), 30) == first

    run(scenario)


@pytest.mark.parametrize("setup, error", [(broken, InputError), (dying, TwoFaceError)])
def test_a_pool_that_cannot_start_says_so(setup, error):
    async def scenario(pool):
        raise AssertionError("it started")

    with pytest.raises(error, match="no network at all|before its first task"):
        run(scenario, setup)


def test_while_no_process_starts_calls_fail_and_later_ones_are_done(monkeypatch):
    monkeypatch.setattr(module, "PAUSES", (0.1, 0.1))

    async def scenario(pool):
        pool._setup = broken
        with pytest.raises(TwoFaceError):
            await pool.call(("crash",), 30)
        with pytest.raises(InputError, match="no network at all"):
            await pool.call(("pid",), 30)
        assert not pool.ready
        pool._setup = worker
        for _ in range(100):
            if pool.ready:
                break
            await asyncio.sleep(0.1)
        assert await pool.call(("echo", 1), 30) == 1

    run(scenario)


def test_close_drains():
    async def scenario(pool):
        calls = [asyncio.create_task(pool.call(("sleep", 0.2), 30)) for _ in range(2)]
        await asyncio.sleep(0)
        closing = asyncio.create_task(pool.close(30))
        await asyncio.sleep(0)
        with pytest.raises(Unavailable, match="stopping"):
            await pool.call(("pid",), 30)
        assert len(set(await asyncio.gather(*calls))) == 1
        await closing
        assert not pool.ready

    run(scenario)


def test_close_does_not_wait_longer_than_it_is_told():
    async def scenario(pool):
        calls = [asyncio.create_task(pool.call(("sleep", 60), 90)) for _ in range(2)]
        await asyncio.sleep(0)
        await pool.close(0.1)
        for call in calls:
            with pytest.raises(Unavailable, match="stopping"):
                await call

    run(scenario)
