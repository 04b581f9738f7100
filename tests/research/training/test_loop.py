import errno
import json
import multiprocessing
import os
import shutil
import signal
from types import SimpleNamespace

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from twoface.core.errors import InputError, TwoFaceError
from twoface.research.training import loop, machine
from twoface.research.training.config import parse_experiment
from twoface.research.training.loop import train
from twoface.research.training.tasks import figures
from twoface.research.training.trained import trained
from twoface.research.training.validate import Validation

EVERYTHING = {
    "lr": 1e-3,
    "perceptual": 0.1,
    "identity": 0.1,
    "adv_local": 0.01,
    "adv_global": 0.01,
    "transfer": 0.01,
    "smooth": 0.01,
    "discriminate": ["adv_local", "adv_global"],
}


PLAIN = dict.fromkeys(EVERYTHING.keys() - {"lr", "discriminate"}, 0.0) | {"discriminate": []}  # the loop is the point


def experiment(**stage):
    return parse_experiment(
        {
            "name": "tiny",
            "model": {"widths": [8, 8, 8, 8]},
            "train": {"samples": 8, "batch": 2, "log_every": 1, "validate_every": 4, "r1_every": 2},
            "stages": [EVERYTHING | stage],
        }
    )


def run(prepared, frozen, out, stage=(), **options):
    defaults = {"accelerator": "cpu", "precision": "32-true", "threads": 1, "frozen": frozen}
    defaults["cache"] = prepared / "cache"
    return train(experiment(**dict(stage)), prepared, out, **(defaults | options))


class Told:
    def __init__(self):
        self.rows, self.runs, self.ended = [], [], 0

    def begin(self, experiment, out):
        self.runs.append((experiment.name, out))

    def log(self, row, samples):
        self.rows.append((samples, row))

    def end(self):
        self.ended += 1


@pytest.fixture(scope="module")
def whole(prepared, make_frozen, tmp_path_factory):
    """A finished run: its folder `out`, what its tracker was told, and what was watched."""
    out, tracker, watched = tmp_path_factory.mktemp("whole"), Told(), []

    def watch(samples, scores):
        watched.append((samples, scores))

    assert run(prepared, make_frozen(), out, tracker=tracker, watch=watch) == 8
    return SimpleNamespace(out=out, tracker=tracker, watched=watched)


@pytest.fixture(scope="module")
def half(prepared, make_frozen, tmp_path_factory):
    out = tmp_path_factory.mktemp("half")
    assert run(prepared, make_frozen(), out, max_steps=2) == 4
    return out


@pytest.fixture
def begun(half, tmp_path):
    """A run that ended after the first two of its four steps."""
    return shutil.copytree(half, tmp_path / "begun")


def rows_of(out):
    return [json.loads(line) for line in (out / "stats.jsonl").read_text().splitlines()]


def test_four_steps_equal_two_saved_loaded_and_two_more(prepared, frozen, whole, begun):
    assert run(prepared, frozen, begun, resume=True) == 8
    whole, parts = (torch.load(out / "state.pt", weights_only=True) for out in (whole.out, begun))
    for part in ("generator", "averaged", "judges"):
        for name, tensor in whole[part].items():
            assert torch.equal(tensor, parts[part][name]), (part, name)
    assert whole["g_opt"]["state"][0]["step"] == parts["g_opt"]["state"][0]["step"] == 4


def test_what_a_run_leaves(whole):
    rows = rows_of(whole.out)
    steps = [row for row in rows if "rec" in row]
    assert [row["samples"] for row in steps] == [2, 4, 6, 8]
    stage = experiment().stages[0]
    for row in steps:  # the logged total is what the configured weights make of the logged terms
        terms = (EVERYTHING.keys() - {"lr", "discriminate"}) & row.keys()
        total = sum(getattr(stage, name) * row[name] for name in terms) + row["rec"]
        assert total == pytest.approx(row["total"], rel=1e-4)
    scores = [row for row in rows if "val_right_minus_none" in row]
    assert [row["samples"] for row in scores] == [4, 8]
    assert scores[0]["val_right_minus_none"] == pytest.approx(
        scores[0]["val_cosine_truth_right"] - scores[0]["val_cosine_truth_none"]
    )
    assert (whole.out / "previews" / "00000008.png").stat().st_size > 1000
    assert json.loads((whole.out / "experiment.json").read_text())["name"] == "tiny"
    machine = json.loads((whole.out / "machine.json").read_text())
    assert (machine["device"], machine["processes"], machine["precision"]) == ("cpu", 1, "32-true")
    assert list(whole.out.glob("events.out.tfevents*"))


def test_averaged_weights_are_a_mean_of_the_steps(whole):
    state = torch.load(whole.out / "state.pt", weights_only=True)
    shipped = load_file(whole.out / "generator.safetensors")
    name = "fields.weight"
    assert torch.equal(shipped[name], state["averaged"][f"module.{name}"])
    assert not torch.equal(shipped[name], state["generator"][name]) and shipped[name].abs().sum() > 0


def test_a_run_is_not_overwritten_or_mixed_with_another(prepared, frozen, begun, tmp_path):
    with pytest.raises(InputError, match="nothing to resume"):
        run(prepared, frozen, tmp_path / "none", resume=True)
    with pytest.raises(InputError, match="--resume"):
        run(prepared, frozen, begun)
    with pytest.raises(InputError, match="another experiment"):
        train(
            experiment(identity=0.5),
            prepared,
            begun,
            resume=True,
            accelerator="cpu",
            precision="32-true",
            threads=1,
            frozen=frozen,
        )


def test_what_a_dead_run_left_is_not_mixed_in(prepared, frozen, tmp_path, monkeypatch):
    (tmp_path / "previews").mkdir()
    for name in ("stats.jsonl", "previews/00000999.png", "events.out.tfevents.1", "notes.txt"):
        (tmp_path / name).write_text('{"samples": 999}\n')
    run(prepared, frozen, tmp_path, PLAIN, max_steps=1)
    assert 999 not in [row["samples"] for row in rows_of(tmp_path)]
    assert not (tmp_path / "previews" / "00000999.png").exists()
    assert not (tmp_path / "events.out.tfevents.1").exists() and (tmp_path / "notes.txt").exists()
    (tmp_path / "state.pt").rename(tmp_path / "state.previous.pt")
    with pytest.raises(InputError, match="older checkpoint"):
        run(prepared, frozen, tmp_path)


def test_the_best_checkpoint_is_kept_beside_the_last(prepared, frozen, tmp_path, monkeypatch):
    scores = iter([{"cosine_truth_right": value} for value in (0.3, 0.2)])
    monkeypatch.setattr(Validation, "scores", lambda *_: next(scores))
    run(prepared, frozen, tmp_path, PLAIN)
    best, last = (safe_open(tmp_path / name / "generator.safetensors", "pt").metadata() for name in ("best", "."))
    assert (best["samples"], best["figure"], best["value"]) == ("4", "cosine_truth_right", "0.3")
    assert last["samples"] == "8" and trained(tmp_path / "best")[2]["samples"] == "4"
    scores = iter([{"cosine_truth_right": value} for value in (0.9, 0.1)])
    run(prepared, frozen, tmp_path / "again", PLAIN, max_steps=2)
    run(prepared, frozen, tmp_path / "again", PLAIN, resume=True)
    assert safe_open(tmp_path / "again" / "best" / "generator.safetensors", "pt").metadata()["value"] == "0.9"


def test_the_figures_are_known_before_the_first_validation(prepared, frozen, tmp_path):
    told = []
    run(prepared, frozen, tmp_path, PLAIN, max_steps=2, watch=lambda samples, scores: told.append(tuple(scores)))
    assert told == [figures(experiment())]


def test_a_tracker_is_told_what_the_run_writes_down(whole):
    told = whole.tracker
    assert [row for _, row in told.rows] == rows_of(whole.out)
    assert told.runs == [("tiny", whole.out)] and told.ended == 1


def test_less_than_a_batch_is_no_run(prepared, frozen, tmp_path):
    with pytest.raises(InputError, match="less than a batch"):
        train(parse_experiment({"train": {"samples": 8}}), prepared, tmp_path, frozen=frozen)


def test_busy_cores_are_left_to_others(monkeypatch):
    ticks = iter([(100, 200), (110, 240)])
    monkeypatch.setattr(machine, "_ticks", lambda: next(ticks))
    monkeypatch.setattr(machine, "usable_cores", lambda: 8)
    assert machine.free_cores(0) == 2
    monkeypatch.setattr(machine, "_ticks", lambda: None)
    assert machine.free_cores(0) == 8


def test_damaged_checkpoint(prepared, frozen, begun):
    state = begun / "state.pt"
    state.write_bytes(state.read_bytes()[:1000])
    with pytest.raises(TwoFaceError, match="damaged"):
        run(prepared, frozen, begun, resume=True)


def test_a_run_of_a_network_with_other_layers_is_refused(begun):
    path = begun / "generator.safetensors"
    with safe_open(path, "pt") as file:
        about = file.metadata()
    kept = {name: tensor for name, tensor in load_file(path).items() if not name.startswith("correct.")}
    save_file(kept, path, about)
    with pytest.raises(InputError, match="other layers: start a new run `--from`"):
        trained(begun)


def test_divergence_names_step_term_and_checkpoint_and_keeps_it(prepared, frozen, begun, tmp_path):
    before = (begun / "state.pt").read_bytes()
    frozen.facenet.head *= float("nan")
    told = rf"identity became nan in step 2, at 4 samples: .*checkpoint, of 4 samples, is {begun}/state.pt"
    with pytest.raises(TwoFaceError, match=told):
        run(prepared, frozen, begun, resume=True)
    assert (begun / "state.pt").read_bytes() == before
    with pytest.raises(TwoFaceError, match="in step 0, at 0 samples: nothing is saved yet"):
        run(prepared, frozen, tmp_path / "new")


def test_a_full_disk_ends_the_run_and_the_checkpoint_stands(prepared, frozen, begun, monkeypatch):

    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(TwoFaceError, match="cannot write .*No space left on device; what was there is untouched"):
        run(prepared, frozen, begun, resume=True)
    assert torch.load(begun / "state.pt", weights_only=True)["samples"] == 4


def test_whoever_watches_is_told_every_validation_and_can_end_the_run(prepared, frozen, whole, tmp_path):
    assert [samples for samples, _ in whole.watched] == [4, 8] and "right_minus_none" in whole.watched[0][1]

    def stop(samples, scores):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(prepared, frozen, tmp_path, PLAIN, watch=stop)
    assert not (tmp_path / "state.pt").exists()


def test_bfloat16_learns_too(prepared, frozen, tmp_path):
    run(prepared, frozen, tmp_path, precision="bf16-mixed", max_steps=2)
    row = json.loads((tmp_path / "stats.jsonl").read_text().splitlines()[0])
    assert 0 < row["rec"] < 1


def test_batch_must_divide(prepared, frozen, tmp_path):
    with pytest.raises(InputError, match="3 devices"):
        run(prepared, frozen, tmp_path, devices=3)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_saves_and_ends_the_run(prepared, frozen, tmp_path, monkeypatch, number):
    before = signal.getsignal(number)
    real = loop.train_step

    def interrupted(*arguments):
        for process in multiprocessing.active_children():  # a terminal, or `timeout`, tells them all
            os.kill(process.pid, number)
        os.kill(os.getpid(), number)
        return real(*arguments)

    monkeypatch.setattr(loop, "train_step", interrupted)
    assert run(prepared, frozen, tmp_path, PLAIN) == 2
    assert torch.load(tmp_path / "state.pt", weights_only=True)["samples"] == 2
    assert signal.getsignal(number) is before


def test_the_cache_spares_decoding_and_embedding(prepared, frozen, tmp_path):
    cache = tmp_path / "cache"
    assert run(prepared, frozen, tmp_path / "one", cache=cache, max_steps=1) == 2
    kept = {path.name: path.stat().st_mtime_ns for path in cache.iterdir()}
    assert len(kept) == 5  # the crops and meshes of both splits, the embeddings of train
    run(prepared, frozen, tmp_path / "two", cache=cache, max_steps=1)
    assert kept == {path.name: path.stat().st_mtime_ns for path in cache.iterdir()}
    one, two = (torch.load(tmp_path / name / "state.pt", weights_only=True)["generator"] for name in ("one", "two"))
    assert all(torch.equal(one[name], two[name]) for name in one)
