"""A run's figures to a tracking server, beside stats.jsonl and TensorBoard."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from twoface.core.files import write_aside
from twoface.research.training.config import Experiment, to_table

PROJECT = "twoface"
LONGEST = 500  # letters of a parameter


class Tracker(Protocol):
    """What the loop tells of a run."""

    def begin(self, experiment: Experiment, out: Path) -> None: ...

    def log(self, row: dict[str, float], samples: int) -> None: ...

    def end(self) -> None: ...


class MLflow:
    """Where MLFLOW_TRACKING_URI says. A run that is resumed goes on there too: its id lies in `out`/mlflow."""

    def __init__(self) -> None:
        from mlflow import MlflowClient

        self._client = MlflowClient()
        self._run: str | None = None

    def begin(self, experiment: Experiment, out: Path) -> None:
        known = out / "mlflow"
        if known.is_file() and (out / "state.pt").is_file():
            self._run = known.read_text().strip()
            self._client.update_run(self._run, status="RUNNING")
            return
        project = self._client.get_experiment_by_name(PROJECT)
        place = project.experiment_id if project else self._client.create_experiment(PROJECT)
        self._run = self._client.create_run(place, run_name=experiment.name).info.run_id
        for name, value in to_table(experiment).items():
            self._client.log_param(self._run, name, str(value)[:LONGEST])
        write_aside(known, f"{self._run}\n".encode(), force=True)

    def log(self, row: dict[str, float], samples: int) -> None:
        for name, value in row.items():
            self._client.log_metric(self._run, name, value, step=samples)

    def end(self) -> None:
        self._client.set_terminated(self._run)
