"""`twoface tune`: a search of hyper-parameters on Optuna.

A study is a list of planned trials in a database. Each worker takes the next one that waits, so that as many processes
and machines as reach the database work on one study, and none does another's trial.
"""

from __future__ import annotations

import json
import math
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import optuna
import tomlkit
from filelock import FileLock
from optuna.distributions import CategoricalDistribution, IntDistribution
from optuna.pruners import MedianPruner
from optuna.samplers import TPESampler
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from twoface.core.errors import InputError, TwoFaceError
from twoface.core.files import write_aside
from twoface.research.training.config import Experiment, parse_experiment
from twoface.research.training.space import Distribution, Space, example, load_space
from twoface.research.training.table import apply, read_table, set_value

HEARTBEAT = 10  # seconds between a running trial's signs of life
PATIENCE = 6  # heartbeats without one until it is called dead and its trial waits again
FAILURES = (TwoFaceError, ArithmeticError, RuntimeError, MemoryError, OSError)  # of a trial alone, not of the search
ENOUGH = 4  # complete trials from which on a parameter's importance says something
PLANNED = "planned"  # the mark of a trial that is on the list

Run = Callable[[Experiment, Path, Callable[[int, dict[str, float]], None]], int]


class NoSuchFigure(Exception):
    """Validation does not give the figure that the search is to judge by: no trial can. Ends the search."""


@dataclass(frozen=True)
class Search:
    """What a study is about. table: the experiment's, as its file and the settings say it; run: trains one, in a
    folder of its own, and returns the samples seen."""

    experiment: Path
    settings: tuple[str, ...]
    table: dict[str, Any]
    space: Space
    out: Path
    run: Run

    def configured(self, parameters: dict[str, Any]) -> Experiment:
        table = apply(json.loads(json.dumps(self.table)), self.space.fixed)
        for name, value in parameters.items():
            set_value(table, name, value)
        return parse_experiment(table, str(self.experiment))


def tune(
    experiment: Path,
    space: Path,
    out: Path,
    run: Run,
    trials: int = 20,
    settings: Sequence[str] = (),
    storage: str | None = None,
    seed: int = 0,
    heartbeat: int = HEARTBEAT,
    figures: Callable[[Experiment], Sequence[str]] | None = None,
) -> dict[str, Any]:
    """Bring the study of this experiment and space to `trials` trials -> what study.json holds.

    Run it again, after a Ctrl-C or a kill, and it goes on; run it with more `trials`, and it goes further. A trial that
    a killed process held waits again, with the same parameters, when its heartbeat is `PATIENCE` beats old. One that
    fails is told and kept as failed. Writes study.json, best.toml and trials/NUMBER/ into `out`; the database is
    study.db there, or any that SQLAlchemy can reach by `storage`, its URL.
    figures: tells which figures validation will give, so that a metric that is none is found before the first trial.
    Raises InputError when experiment and space do not fit each other or the study, KeyboardInterrupt after Ctrl-C.
    """
    table = apply(read_table(experiment), settings)
    search = Search(experiment, tuple(settings), table, load_space(space), out, run)
    tried = search.configured(example(search.space))  # an unknown key shall stop the search, not fail every trial
    if figures and search.space.metric not in figures(tried):
        raise InputError(_no_figure(search.space.metric, figures(tried)))
    out.mkdir(parents=True, exist_ok=True)
    study = _open(search, storage or f"sqlite:///{out / 'study.db'}", f"{experiment.stem}-{space.stem}", heartbeat)
    with _alone(out):
        for _ in range(trials - len(planned(study))):
            study.enqueue_trial({}, user_attrs={PLANNED: True})
    while (begun := _next(study, trials, heartbeat)) is not None:
        study.sampler = TPESampler(seed=1000 * seed + begun, multivariate=True, constant_liar=True)
        try:
            study.optimize(partial(_trial, search=search), 1, catch=FAILURES, callbacks=[partial(_tell, search=search)])
        except NoSuchFigure as error:
            raise InputError(str(error)) from error
        except ValueError as error:
            if not str(error).startswith("Cannot tell a"):
                raise
            print("a trial timed out and was restarted (was this machine suspended?): its result does not count")
    return _write(search, study)


def planned(study: optuna.Study) -> list[FrozenTrial]:
    """The trials of the list, each once: one that had to be begun again is left out for the one that took its place."""
    trials = study.get_trials(deepcopy=False)
    again = {number for trial in trials for number in RetryHeartbeatStaleTrialCallback.retry_history(trial)}
    return [trial for trial in trials if PLANNED in trial.user_attrs and trial.number not in again]


def _open(search: Search, url: str, name: str, heartbeat: int) -> optuna.Study:
    """The study in the database, made when it is not there. What it is about must not have changed."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # heartbeats
    space, patience = search.space, PATIENCE * heartbeat
    about = {"experiment": search.table, "metric": space.metric, "direction": space.direction}
    about |= {"set": list(space.fixed), "parameters": {name: repr(d) for name, d in space.parameters.items()}}
    again = RetryHeartbeatStaleTrialCallback()
    try:
        storage = RDBStorage(
            url, heartbeat_interval=heartbeat, grace_period=patience, heartbeat_stale_trial_callback=again
        )
        study = optuna.create_study(
            storage=storage, study_name=name, load_if_exists=True, direction=space.direction, pruner=MedianPruner()
        )
    except (SQLAlchemyError, ImportError) as error:
        reason = str(error).splitlines()[0]
        raise TwoFaceError(f"the study's database cannot be used: {reason}") from error  # its URL may hold a password
    if study.user_attrs.get("about", about) != about:
        raise InputError(f"the study {name} there is of another experiment or space: give another --out or --storage")
    study.set_user_attr("about", about)
    return study


def _next(study: optuna.Study, trials: int, heartbeat: int) -> int | None:
    """The number of trials begun so far when one waits, those begun in vain too; None when as many as asked for are
    finished. It seeds the next draw, so that no trial draws what one before it drew.

    Waits while other processes hold the last ones, or dead ones seem to.
    """
    told = False
    while True:
        _revive(study, PATIENCE * heartbeat)
        now = planned(study)
        if sum(trial.state.is_finished() for trial in now) >= trials:
            return None
        if any(trial.state == TrialState.WAITING for trial in now):
            return sum(trial.state != TrialState.WAITING for trial in study.get_trials(deepcopy=False))
        if not told:
            held = [trial.number for trial in now if trial.state == TrialState.RUNNING]
            print(f"waiting for trials {held}, which other processes hold, or killed ones held till now", flush=True)
        told = True
        time.sleep(min(heartbeat, 2))


def _revive(study: optuna.Study, patience: float) -> None:
    """Trials that dead processes held wait again."""
    optuna.storages.fail_stale_trials(study)
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if not trial.params and trial.datetime_start and time.time() - trial.datetime_start.timestamp() > patience:
            study.tell(trial.number, state=TrialState.FAIL)  # killed before its first sign of life
            RetryHeartbeatStaleTrialCallback()(study, trial)


def _trial(trial: optuna.Trial, search: Search) -> float:
    """One training -> the figure of its last validation."""
    if PLANNED not in trial.user_attrs:
        raise TwoFaceError("another process took the last trial that waited")
    experiment = search.configured({name: _suggest(trial, name, d) for name, d in search.space.parameters.items()})
    folder, began = search.out / "trials" / f"{trial.number:04d}", time.monotonic()
    watch = Watch(trial, search.space.metric)
    try:
        seen = search.run(experiment, folder, watch)
        if seen <= experiment.train.samples - experiment.train.batch:
            raise KeyboardInterrupt  # the loop saved and came back: Ctrl-C
    except KeyboardInterrupt:
        RetryHeartbeatStaleTrialCallback()(trial.study, trial.study.get_trials(deepcopy=False)[trial.number])
        raise
    except FAILURES as error:
        trial.set_user_attr("error", f"{type(error).__name__}: {error}")
        raise
    finally:
        trial.set_user_attr("seconds", round(time.monotonic() - began, 1))
        for weights in ("state.pt", "generator.safetensors", "best/generator.safetensors"):  # best.toml trains again
            (folder / weights).unlink(missing_ok=True)
    return watch.last


class Watch:
    """What the loop calls after each validation: remembers the figure, and ends a trial that has no prospects."""

    def __init__(self, trial: optuna.Trial, metric: str) -> None:
        self.trial, self.metric, self.last = trial, metric, math.nan

    def __call__(self, samples: int, scores: dict[str, float]) -> None:
        if self.metric not in scores:
            raise NoSuchFigure(_no_figure(self.metric, scores))
        self.last = scores[self.metric]
        self.trial.report(self.last, samples)
        if self.trial.should_prune():
            raise optuna.TrialPruned


def _no_figure(metric: str, figures: Iterable[str]) -> str:
    return f"validation gives no figure {metric!r}: choose of {', '.join(figures)}"


def _suggest(trial: optuna.Trial, name: str, d: Distribution) -> Any:
    if isinstance(d, CategoricalDistribution):
        return trial.suggest_categorical(name, d.choices)
    if isinstance(d, IntDistribution):
        return trial.suggest_int(name, d.low, d.high, step=d.step, log=d.log)
    return trial.suggest_float(name, d.low, d.high, step=d.step, log=d.log)


def _alone(out: Path) -> FileLock:
    """A lock: what another process of the folder has read of the study would be old by the time it writes."""
    return FileLock(out / ".study.lock")


def _write(search: Search, study: optuna.Study) -> dict[str, Any]:
    """study.json, which `twoface report` shows, and best.toml -> what study.json holds."""
    with _alone(search.out):
        return _write_now(search, study)


def _write_now(search: Search, study: optuna.Study) -> dict[str, Any]:
    trials = planned(study)
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    best = study.best_trial if complete else None
    told = {
        "metric": search.space.metric,
        "direction": search.space.direction,
        "trials": [_row(trial) for trial in trials if trial.state.is_finished()],
        "importance": optuna.importance.get_param_importances(study) if len(complete) >= ENOUGH else {},
        "best": best.number if best else None,
    }
    write_aside(search.out / "study.json", (json.dumps(told, indent=1) + "\n").encode(), force=True)
    if best:
        write_aside(search.out / "best.toml", _best_file(search, study, best).encode(), force=True)
    return told


def _row(trial: FrozenTrial) -> dict[str, Any]:
    value = trial.value if trial.value is not None and math.isfinite(trial.value) else None
    row = {"number": trial.number, "state": trial.state.name, "value": value, "params": trial.params}
    return row | {key: trial.user_attrs[key] for key in ("seconds", "error") if key in trial.user_attrs}


def _best_file(search: Search, study: optuna.Study, best: FrozenTrial) -> str:
    """The experiment's file, its comments too, with the best parameters in it; not with what the space sets, such as
    the trials' length."""
    document = apply(tomlkit.parse(search.experiment.read_text()), search.settings)
    for name, value in best.params.items():
        set_value(document, name, value)
    document["name"] = f"{parse_experiment(search.table).name}_tuned"
    found = f"# Trial {best.number} of the study {study.study_name}: {search.space.metric} {best.value:.4g}"
    return f"{found} ({', '.join(search.space.fixed)}).\n{tomlkit.dumps(document)}"


def _tell(study: optuna.Study, trial: FrozenTrial, search: Search) -> None:
    told = _write(search, study)
    value = "" if trial.value is None else f", {search.space.metric} {trial.value:.4g}"
    print(f"trial {trial.number} {trial.state.name.lower()}{value}; {len(told['trials'])} done, best {told['best']}")
