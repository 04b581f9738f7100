"""What is told to MLflow, by a stand-in for its client."""

import sys
from types import SimpleNamespace

import pytest

from twoface.research.training.config import Experiment
from twoface.research.training.track import MLflow


class Client:
    """Remembers its calls; `known` is the project, if there is one."""

    calls, known = [], None

    def get_experiment_by_name(self, name):
        return self.known

    def create_experiment(self, name):
        return f"place of {name}"

    def create_run(self, place, run_name):
        self.calls.append(("create_run", place, run_name))
        return SimpleNamespace(info=SimpleNamespace(run_id="r1"))

    def __getattr__(self, name):
        return lambda *arguments, **options: self.calls.append((name, *arguments, *options.values()))


@pytest.fixture
def calls(monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", SimpleNamespace(MlflowClient=Client))
    monkeypatch.setattr(Client, "calls", [])
    return lambda: Client.calls


def test_a_run_is_made_filled_and_ended(calls, tmp_path):
    tracker = MLflow()
    tracker.begin(Experiment(), tmp_path)
    tracker.log({"samples": 4, "rec": 0.5}, 4)
    tracker.end()
    assert calls()[0] == ("create_run", "place of twoface", "transfer")
    assert ("log_param", "r1", "seed", "0") in calls()
    assert calls()[-3:] == [
        ("log_metric", "r1", "samples", 4, 4),
        ("log_metric", "r1", "rec", 0.5, 4),
        ("set_terminated", "r1"),
    ]


def test_a_resumed_run_goes_on_and_a_new_one_does_not(calls, tmp_path, monkeypatch):
    MLflow().begin(Experiment(), tmp_path)
    monkeypatch.setattr(Client, "known", SimpleNamespace(experiment_id="7"))
    MLflow().begin(Experiment(), tmp_path)  # the first was killed before its first checkpoint
    assert [call for call in calls() if call[0] == "create_run"][1] == ("create_run", "7", "transfer")
    (tmp_path / "state.pt").touch()
    calls().clear()
    MLflow().begin(Experiment(), tmp_path)
    assert calls() == [("update_run", "r1", "RUNNING")]
