"""What one version of the model has done since it was loaded, as Triton counts it."""

import contextlib
import time
from collections import defaultdict
from collections.abc import Iterator
from typing import Any


class Tally:
    """How often, and how long in all."""

    def __init__(self) -> None:
        self.count, self.seconds = 0, 0.0

    def add(self, seconds: float) -> None:
        self.count, self.seconds = self.count + 1, self.seconds + seconds

    def report(self) -> dict[str, int]:
        return {"count": self.count, "ns": round(self.seconds * 1e9)}


class Statistics:
    """stages: decode, queue, compute and encode of requests. batches: runs of the network, by their rows."""

    def __init__(self) -> None:
        self.last, self.rows = 0.0, 0
        self.success, self.fail = Tally(), Tally()
        self.stages: defaultdict[str, Tally] = defaultdict(Tally)
        self.batches: defaultdict[int, Tally] = defaultdict(Tally)

    @contextlib.contextmanager
    def request(self, rows: int) -> Iterator[None]:
        """Counts what happens inside as one request of so many crops."""
        start = time.perf_counter()
        try:
            yield
        except BaseException:
            self.fail.add(time.perf_counter() - start)
            raise
        self.success.add(time.perf_counter() - start)
        self.rows += rows
        self.last = time.time()

    def report(self) -> dict[str, Any]:
        """As Triton's ModelStatistics."""
        parts = {"queue": "queue", "compute_input": "decode", "compute_infer": "compute", "compute_output": "encode"}
        stages = {name: self.stages[stage].report() for name, stage in parts.items()}
        batches = [{"batch_size": n, "compute_infer": tally.report()} for n, tally in sorted(self.batches.items())]
        return {
            "last_inference": round(self.last * 1000),
            "inference_count": self.rows,
            "execution_count": sum(tally.count for tally in self.batches.values()),
            "inference_stats": {"success": self.success.report(), "fail": self.fail.report(), **stages},
            "batch_stats": batches,
        }
