"""What Prometheus reads at /metrics."""

from collections.abc import Sequence
from typing import Any, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


Metric = TypeVar("Metric", Counter, Gauge, Histogram)


class Metrics:
    """One server's counters, in a registry of their own, so that several servers fit in one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = self._make(Counter, "requests", "Requests answered, by door and status", ["door", "code"])
        self.request_seconds = self._make(
            Histogram, "request_seconds", "From the first byte to the last", ["door"], buckets=SECONDS
        )
        self.stage_seconds = self._make(
            Histogram, "stage_seconds", "receive, decode, register, queue, compute, encode", ["stage"], buckets=SECONDS
        )
        self.batch_rows = self._make(
            Histogram, "batch_rows", "Crops in one run of the network", buckets=(1, 2, 4, 8, 16, 32, 64)
        )
        self.queue_rows = self._make(Gauge, "queue_rows", "Crops that wait for the network")
        self.dropped = self._make(Counter, "dropped", "Requests not computed: busy, timeout, cancelled", ["why"])
        self.engine_errors = self._make(Counter, "engine_errors", "Runs of the network that failed")
        self.model_refused = self._make(Counter, "model_refused", "Model files that were not taken")
        self.model_version = self._make(Gauge, "model_version", "The version that answers by default")
        self.ready = self._make(Gauge, "ready", "1 when requests are answered")

    def _make(self, kind: type[Metric], name: str, text: str, labels: Sequence[str] = (), **options: Any) -> Metric:
        return kind(f"twoface_{name}", text, labels, registry=self.registry, **options)

    def text(self) -> bytes:
        """The page -> bytes, in Prometheus' text format."""
        return generate_latest(self.registry)
