import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest

from twoface.core.errors import InputError, TwoFaceError, Unavailable
from twoface.service.batching import Batcher
from twoface.service.metrics import Metrics


class Crops(SimpleNamespace):
    """Rows of one number each, for `image`, `mask` and `reference`."""

    def __len__(self):
        return len(self.image)


def rows(*values):
    array = np.array(values, np.float32)
    return Crops(image=array, mask=array + 1, reference=array + 2, trust=array + 3)


class Network:
    """Answers the sum of its inputs; fails for a batch with 13 in it, refuses one with 7. `gate` holds it until set."""

    def __init__(self):
        self.gate, self.batches = threading.Event(), []
        self.gate.set()

    def run(self, image, mask, reference, trust):
        assert self.gate.wait(60)
        self.batches.append(len(image))
        if 13 in image:
            raise TwoFaceError("thirteen")
        if 7 in image:
            raise InputError("seven is not for this network")
        return {"sum": image + mask + reference}


def batched(scenario, **limits):
    """Run scenario(batcher, network, metrics) on a loop -> its result."""

    async def run():
        network, metrics = Network(), Metrics()
        limits.setdefault("failed", lambda: None)
        with ThreadPoolExecutor(1) as executor:
            batcher = Batcher(network.run, executor, metrics=metrics, **({"size": 4, "wait": 0, "queue": 8} | limits))
            try:
                return await scenario(batcher, network, metrics)
            finally:
                network.gate.set()
                await batcher.close()

    return asyncio.run(run())


async def held(batcher, network, *calls):
    """Start a call that holds the network, then the others behind it -> all their tasks."""
    network.gate.clear()
    first = asyncio.ensure_future(batcher.submit(rows(0)))
    while batcher.running_since is None:
        await asyncio.sleep(0.001)
    others = [asyncio.ensure_future(call) for call in calls]
    await asyncio.sleep(0.02)
    return [first, *others]


def value(metrics, name, **labels):
    return metrics.registry.get_sample_value(name, labels)


def test_each_caller_gets_its_own_rows_of_a_shared_batch():
    async def scenario(batcher, network, metrics):
        tasks = await held(batcher, network, *(batcher.submit(rows(*r)) for r in ([1], [2, 3], [4], [5])))
        assert batcher.waiting == 5
        network.gate.set()
        answers = await asyncio.gather(*tasks)
        assert [a["sum"].tolist() for a in answers] == [[3], [6], [9, 12], [15], [18]]
        assert network.batches == [1, 4, 1]
        assert batcher.waiting == 0

    batched(scenario)


def test_a_call_larger_than_a_batch_goes_alone():
    async def scenario(batcher, network, metrics):
        tasks = await held(batcher, network, batcher.submit(rows(*range(6))), batcher.submit(rows(1)))
        network.gate.set()
        await asyncio.gather(*tasks)
        assert network.batches == [1, 6, 1]

    batched(scenario)


def test_it_waits_for_a_full_batch_and_no_longer_than_allowed():
    async def scenario(batcher, network, metrics):
        first = asyncio.ensure_future(batcher.submit(rows(1)))
        await asyncio.sleep(0.05)
        assert network.batches == []
        rest = [batcher.submit(rows(n)) for n in (2, 3, 4)]  # the batch is full: nobody waits any more
        await asyncio.wait_for(asyncio.gather(first, *rest), 5)
        assert network.batches == [4]

    batched(scenario, wait=60)

    async def shortly(batcher, network, metrics):
        first = asyncio.ensure_future(batcher.submit(rows(1)))
        for _ in range(10):  # turns of the loop: no time passes
            await asyncio.sleep(0)
        assert batcher.waiting == 1
        await asyncio.gather(first, *(batcher.submit(rows(n)) for n in (2, 3, 4)))
        assert network.batches == [4]

    batched(shortly, wait=0.9)

    async def alone(batcher, network, metrics):
        await asyncio.wait_for(batcher.submit(rows(1)), 5)
        assert network.batches == [1]

    batched(alone, wait=0.05)


def test_a_full_queue_says_when_to_come_again():
    async def scenario(batcher, network, metrics):
        tasks = await held(batcher, network, batcher.submit(rows(1, 2)))
        with pytest.raises(Unavailable) as refused:
            await batcher.submit(rows(3))
        assert refused.value.code == "busy" and refused.value.retry_after >= 1
        assert value(metrics, "twoface_dropped_total", why="busy") == 1
        network.gate.set()
        await asyncio.gather(*tasks)

    batched(scenario, queue=2)


def test_when_to_come_again_is_told_by_what_waits_and_how_long_a_row_took():
    async def scenario(batcher, network, metrics):
        await batcher.submit(rows(1, 2))
        assert 0 <= batcher._row_seconds < 60, "of the run just ended, and not of the clock"
        assert value(metrics, "twoface_batch_rows_sum") == 2
        batcher._row_seconds = 2.0
        tasks = await held(batcher, network, batcher.submit(rows(1, 2, 3)))
        with pytest.raises(Unavailable) as refused:
            await batcher.submit(rows(4))
        assert refused.value.retry_after == 6
        network.gate.set()
        await asyncio.gather(*tasks)

    batched(scenario, queue=3)


def test_late_and_cancelled_calls_are_not_computed():
    async def scenario(batcher, network, metrics):
        soon = asyncio.get_running_loop().time() + 0.05
        tasks = await held(batcher, network, batcher.submit(rows(1), soon), batcher.submit(rows(2)))
        with pytest.raises(Unavailable) as late:
            await tasks[1]
        assert late.value.code == "timeout"
        tasks[2].cancel()
        await asyncio.wait([tasks[2]])
        assert batcher.waiting == 0
        network.gate.set()
        await tasks[0]
        with pytest.raises(Unavailable):
            await batcher.submit(rows(3), soon)
        assert network.batches == [1]
        assert value(metrics, "twoface_dropped_total", why="timeout") == 2
        assert value(metrics, "twoface_dropped_total", why="cancelled") == 1

    batched(scenario)


def test_the_answer_of_a_run_that_outlasts_the_deadline_is_dropped_and_the_next_is_right():
    async def scenario(batcher, network, metrics):
        network.gate.clear()
        with pytest.raises(Unavailable):
            await batcher.submit(rows(1), asyncio.get_running_loop().time() + 0.05)
        network.gate.set()
        assert (await batcher.submit(rows(2)))["sum"].tolist() == [9]

    batched(scenario)


def test_a_failure_is_only_that_callers():
    failures = []

    async def scenario(batcher, network, metrics):
        tasks = await held(batcher, network, *(batcher.submit(rows(n)) for n in (1, 13, 2)))
        network.gate.set()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        assert [a["sum"].tolist() for a in answers if isinstance(a, dict)] == [[3], [6], [9]]
        assert str(answers[2]) == "thirteen"
        assert value(metrics, "twoface_engine_errors_total") == 1

    batched(scenario, failed=lambda: failures.append(1))
    assert failures == [1]


def test_what_the_network_refuses_is_the_callers_fault_and_no_failure():
    failures = []

    async def scenario(batcher, network, metrics):
        with pytest.raises(InputError, match="seven"):
            await batcher.submit(rows(7))
        assert value(metrics, "twoface_engine_errors_total") == 0

    batched(scenario, failed=lambda: failures.append(1))
    assert failures == []


def test_closing_finishes_what_waits():
    async def scenario(batcher, network, metrics):
        tasks = await held(batcher, network, batcher.submit(rows(1)))
        closing = asyncio.ensure_future(batcher.close())
        await asyncio.sleep(0.01)
        network.gate.set()
        await closing
        assert [t.result()["sum"].tolist() for t in tasks] == [[3], [6]]

    batched(scenario)


def test_a_call_that_comes_after_closing_is_refused_at_once():
    async def scenario(batcher, network, metrics):
        await batcher.close()
        with pytest.raises(Unavailable, match="being unloaded"):
            await batcher.submit(rows(1))

    batched(scenario)


def test_nobody_is_served_out_of_turn():
    async def scenario(batcher, network, metrics):
        order = []

        async def call(n, size):
            await batcher.submit(rows(*[n] * size))
            order.append(n)

        tasks = await held(batcher, network, call(1, 3), call(2, 3), call(3, 1))
        network.gate.set()
        await asyncio.gather(*tasks)
        assert order == [1, 2, 3]

    batched(scenario)
