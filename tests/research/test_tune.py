"""The search with stand-ins for training: what it does to the study, not what it finds."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import optuna
import pytest
from fakes import until

from twoface.core.errors import InputError, TwoFaceError
from twoface.research.report.page import report
from twoface.research.training.config import load_experiment
from twoface.research.training.space import load_space
from twoface.research.training.table import read_table
from twoface.research.tune import Search, _write, planned, tune

EXPERIMENT = """# kept
name = "small"
[train]
samples = 400
batch = 2
[[stages]]
lr = 1e-3
[[stages]]
start = 100
identity = 0.1  # kept too
"""
SPACE = """
metric = "score"
direction = "maximize"
set = ["train.samples=8"]
[parameters]
"stages[0].lr" = { low = 1e-5, high = 1e-1, log = true }
"train.batch" = { choices = [2, 4] }
"model.widths[1]" = { low = 4, high = 8 }
"""


@pytest.fixture
def files(tmp_path):
    text = EXPERIMENT.replace("[train]", "[model]\nwidths = [8, 8, 8, 8]\n[train]")
    (tmp_path / "small.toml").write_text(text)
    (tmp_path / "space.toml").write_text(SPACE)
    return tmp_path / "small.toml", tmp_path / "space.toml", tmp_path / "out"


def score(experiment):
    return -abs(experiment.stages[0].lr - 0.01) + experiment.model.widths[1] / 100


def run(experiment, folder, watch):
    """A training of two validations."""
    folder.mkdir(parents=True)
    (folder / "state.pt").write_bytes(b"1")
    for samples in (4, 8):
        watch(samples, {"score": score(experiment) * samples / 8, "other": 0.0})
    return experiment.train.samples


def study_of(out):
    return optuna.load_study(study_name="small-space", storage=f"sqlite:///{out / 'study.db'}")


def test_a_search_leaves_the_best_experiment_ready(files, capsys):
    told = tune(*files, run, trials=8, settings=["seed=7"])
    assert len(told["trials"]) == 8 and {trial["state"] for trial in told["trials"]} <= {"COMPLETE", "PRUNED"}
    best = max((t for t in told["trials"] if t["state"] == "COMPLETE"), key=lambda t: t["value"])
    assert best["number"] == told["best"] and best["params"].keys() == load_space(files[1]).parameters.keys()
    text = (files[2] / "best.toml").read_text()
    ready = load_experiment(files[2] / "best.toml")
    assert "# kept too" in text and text.startswith(f"# Trial {told['best']} of the study small-space: score ")
    assert ready.stages[0].lr == best["params"]["stages[0].lr"] and ready.train.batch == best["params"]["train.batch"]
    assert (ready.name, ready.seed, ready.train.samples) == ("small_tuned", 7, 400)  # not as short as the trials were
    assert sum(told["importance"].values()) == pytest.approx(1) and len(told["importance"]) == 3
    assert not list(files[2].glob("trials/*/state.pt")) and len(list(files[2].glob("trials/*"))) == 8
    page = report([files[2]], files[2] / "page.html").read_text()
    assert "stages[0].lr" in page and page.count("<circle") == 8
    assert "8 done" in capsys.readouterr().out


def test_more_trials_go_on_with_the_study(files):
    tune(*files, run, trials=3)
    assert [t["number"] for t in tune(*files, run, trials=5)["trials"]] == [0, 1, 2, 3, 4]
    assert len(tune(*files, run, trials=5)["trials"]) == 5  # nothing is left to do
    values = {t.params["stages[0].lr"] for t in study_of(files[2]).trials}
    assert len(values) == 5  # a later process draws other parameters than the first


def test_bad_trials_are_pruned(files):
    def rising(experiment, folder, watch):
        last = None
        for samples in range(1, 9):
            last = len(list(folder.parent.glob("*"))) if folder.parent.exists() else 0
            watch(samples, {"score": -float(last)})
        folder.mkdir(parents=True)
        return experiment.train.samples

    states = [trial["state"] for trial in tune(*files, rising, trials=8)["trials"]]
    assert states[:5] == ["COMPLETE"] * 5 and "PRUNED" in states[5:]


def test_a_failing_trial_does_not_end_the_search(files):
    def failing(experiment, folder, watch):
        if folder.name in ("0001", "0002"):
            raise TwoFaceError("rec became nan") if folder.name == "0001" else RuntimeError("no memory")
        return run(experiment, folder, watch)

    told = tune(*files, failing, trials=4)
    assert [t["state"] for t in told["trials"]] == ["COMPLETE", "FAIL", "FAIL", "COMPLETE"]
    assert told["trials"][1]["error"] == "TwoFaceError: rec became nan" and told["best"] in (0, 3)


def test_a_value_that_is_no_number_fails_its_trial(files):
    def diverging(experiment, folder, watch):
        watch(8, {"score": float("nan")})
        return experiment.train.samples

    told = tune(*files, diverging, trials=2)
    assert [(t["state"], t["value"]) for t in told["trials"]] == [("FAIL", None)] * 2 and told["best"] is None


def test_ctrl_c_puts_the_trial_back(files):
    seen = []

    def interrupted(experiment, folder, watch):
        seen.append(experiment)
        return 4 if len(seen) == 2 else run(experiment, folder, watch)  # the loop comes back before the end

    with pytest.raises(KeyboardInterrupt):
        tune(*files, interrupted, trials=3)
    told = tune(*files, interrupted, trials=3)
    assert [t["state"] for t in told["trials"]] == ["COMPLETE"] * 3 and len(seen) == 4
    assert seen[2:].count(seen[1]) == 1  # the same parameters again, and no other trial has them


WORKER = """
import sys
from pathlib import Path
sys.path[:0] = {tests!r}
from test_tune import begun, run, tune
tried = []
def told(experiment, folder, watch):
    tried.append(experiment)
    with open({log!r}, "a") as file:
        print(experiment.stages[0].lr, file=file)
    {wait}
    return run(experiment, folder, watch)
tune(Path({experiment!r}), Path({space!r}), Path({out!r}), told, trials={trials}, heartbeat={heartbeat})
"""


def worker(files, log, trials, wait="", heartbeat=1):
    """A search in a process of its own, which writes down what it tries. wait: what each trial does after that."""
    names = {"experiment": str(files[0]), "space": str(files[1]), "out": str(files[2]), "log": str(log)}
    code = WORKER.format(
        tests=list(map(str, Path(__file__).parents[:2])), wait=wait, trials=trials, heartbeat=heartbeat, **names
    )
    return subprocess.Popen([sys.executable, "-W", "ignore", "-c", code], stdout=subprocess.DEVNULL)


def begun(log, count):
    until(lambda: log.exists() and len(log.read_text().splitlines()) >= count)
    return log.read_text().splitlines()


@pytest.mark.slow
def test_kill_9_loses_no_trial_and_counts_none_twice(files, tmp_path):
    stay = "import time; time.sleep(100 * (len(tried) == 2))"
    first = worker(files, tmp_path / "log", trials=4, wait=stay)
    begun(tmp_path / "log", 2)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    before = begun(tmp_path / "log", 2)
    states = [t.state.name for t in study_of(files[2]).trials]
    assert states.count("RUNNING") == 1 and states.count("COMPLETE") == len(before) - 1
    second = worker(files, tmp_path / "log", trials=4)
    assert second.wait(timeout=120) == 0
    after = (tmp_path / "log").read_text().splitlines()
    kept = planned(study_of(files[2]))
    assert [t.state.name for t in kept] == ["COMPLETE"] * 4
    assert len(after) == 5 and after.count(before[-1]) == 2  # the killed one was done again, with its parameters
    assert sorted(repr(t.params["stages[0].lr"]) for t in kept) == sorted(set(after))
    assert len(json.loads((files[2] / "study.json").read_text())["trials"]) == 4


def test_a_trial_that_was_taken_for_dead_while_its_machine_slept_ends_nothing(files, capsys):
    def slept(*arguments):
        study = study_of(files[2])
        if not study.trials[0].state.is_finished():  # another process gives up on it
            study.tell(0, state=optuna.trial.TrialState.FAIL)
        return run(*arguments)

    told = tune(*files, slept, trials=2)
    assert [trial["state"] for trial in told["trials"]] == ["FAIL", "COMPLETE"]
    assert "timed out and was restarted" in capsys.readouterr().out


def test_a_slow_writer_undoes_nothing_that_another_wrote(files, monkeypatch):
    """What it has read of the study is old by the time it writes."""
    tune(*files, run, trials=1)
    search = Search(files[0], (), read_table(files[0]), load_space(files[1]), files[2], run)
    others = []

    def slow(study):
        read = planned(study)
        if not others:
            study.add_trial(optuna.create_trial(value=1.0, user_attrs={"planned": True}))
            others.append(threading.Thread(target=_write, args=(search, study_of(files[2]))))
            others[0].start()
            others[0].join(0.3)  # it has written by now, unless it waits for us
        return read

    monkeypatch.setattr("twoface.research.tune.planned", slow)
    _write(search, study_of(files[2]))
    others[0].join()
    assert len(json.loads((files[2] / "study.json").read_text())["trials"]) == 2


@pytest.mark.slow
def test_two_processes_share_the_trials(files, tmp_path):
    tune(*files, run, trials=1)  # the study is there
    logs = [tmp_path / "log0", tmp_path / "log1"]
    waits = [f"begun(Path({str(other)!r}), 1)" for other in reversed(logs)]  # until the other has a trial too
    both = [worker(files, log, 7, wait, heartbeat=60) for log, wait in zip(logs, waits, strict=True)]  # none seems dead
    assert [process.wait(timeout=120) for process in both] == [0, 0]
    logs = [log.read_text().splitlines() for log in logs]
    assert len(planned(study_of(files[2]))) == 7 and min(map(len, logs)) >= 1
    done = json.loads((files[2] / "study.json").read_text())["trials"]
    assert len({t["number"] for t in done}) == len(done) == len(logs[0]) + len(logs[1]) + 1 == 7


def test_a_trial_killed_before_its_first_sign_of_life(files, monkeypatch):
    monkeypatch.setattr("twoface.research.tune.PATIENCE", 1)
    tune(*files, run, trials=1)
    study = study_of(files[2])
    study.enqueue_trial({}, user_attrs={"planned": True})
    lost = study.ask()
    told = tune(*files, run, trials=2, heartbeat=1)
    assert len(told["trials"]) == 2 and lost.number not in [t["number"] for t in told["trials"]]


def change(path, old, new):
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"train.batch"', '"train.bath"', "unknown key 'bath'; did you mean 'batch'"),
        ('"stages[0].lr"', '"stages[7].lr"', r"stages holds 2"),
        ('"stages[0].lr"', '"stages[].lr"', "is no place in an experiment"),
        ('metric = "score"', 'metric = "scoer"', "no figure 'scoer': choose of score, other"),
        ('metric = "score"', "", "say metric"),
        ("maximize", "up", "say metric"),
        ("low = 4, high = 8", "low = 9, high = 8", r"widths\[1\]: "),
        ("low = 4, high = 8", "low = 4", "give { low, high }"),
        ("set =", "sets =", "unknown key 'sets'"),
    ],
)
def test_mistakes_in_a_space(files, old, new, message):
    change(files[1], old, new)
    with pytest.raises(InputError, match=message):
        tune(*files, run, trials=1)


def test_a_figure_that_there_is_not_is_found_before_the_first_trial(files):
    change(files[1], 'metric = "score"', 'metric = "scoer"')
    with pytest.raises(InputError, match="no figure 'scoer': choose of score"):
        tune(*files, lambda *_: pytest.fail("a trial began"), trials=1, figures=lambda experiment: ("score",))
    assert not files[2].exists()


def test_a_study_of_something_else_is_left_alone(files):
    tune(*files, run, trials=1)
    change(files[1], "high = 1e-1", "high = 1e-2")
    with pytest.raises(InputError, match="small-space there is of another experiment or space"):
        tune(*files, run, trials=2)
    with pytest.raises(TwoFaceError, match="cannot be used"):
        tune(*files, run, trials=1, storage="sqlite:////none/study.db")
    with pytest.raises(TwoFaceError, match="cannot be used"):
        tune(*files, run, trials=1, storage="postgresql://127.0.0.1:1/none")
