import resource
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from twoface.core.errors import InputError, TwoFaceError
from twoface.research.training import checkpoints

NET = torch.nn.Linear(40, 40)


def state(samples):
    return {"samples": samples, "experiment": {"name": "tiny"}, "net": NET.state_dict()}


def test_the_one_before_is_kept(tmp_path):
    for samples in (2, 4, 6):
        checkpoints.save(tmp_path / "run", state(samples), NET)
    assert checkpoints.load(tmp_path / "run")["samples"] == 6
    names = sorted(path.name for path in (tmp_path / "run").iterdir())
    assert names == ["generator.safetensors", "state.previous.pt", "state.pt"]
    assert torch.equal(load_file(tmp_path / "run" / "generator.safetensors")["weight"], NET.weight)


@pytest.mark.parametrize("size", [0, 100, 1500, -1])
def test_a_truncated_checkpoint_says_so_and_the_one_before_is_found(tmp_path, size):
    for samples in (2, 4):
        checkpoints.save(tmp_path, state(samples), NET)
    last = tmp_path / "state.pt"
    last.write_bytes(last.read_bytes()[:size])
    with pytest.raises(TwoFaceError, match=r"state.pt is damaged .*of 2 samples: rename state.previous.pt to state.pt"):
        checkpoints.load(tmp_path)
    (tmp_path / "state.previous.pt").rename(last)
    assert checkpoints.load(tmp_path)["samples"] == 2
    last.write_bytes(b"")
    with pytest.raises(TwoFaceError, match="damaged .*restore it or start anew"):
        checkpoints.load(tmp_path)


def test_nothing_to_resume(tmp_path):
    with pytest.raises(InputError, match="nothing to resume; leave out --resume to start anew$"):
        checkpoints.load(tmp_path)


FULL = """
import sys
sys.path.insert(0, {tests!r})
from test_checkpoints import *
resource.setrlimit(resource.RLIMIT_FSIZE, (4000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
try:
    checkpoints.save(Path({folder!r}), state(4), NET)
except TwoFaceError as error:
    print(error)
"""


def test_a_disk_that_takes_no_more(tmp_path):
    """As full as a limit on the size of files can make it; the process that meets it is another one."""
    checkpoints.save(tmp_path, state(2), NET)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    code = FULL.format(tests=str(Path(__file__).parent), folder=str(tmp_path))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert "cannot write" in done.stdout and "File too large; what was there is untouched" in done.stdout, done.stderr
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 4000


def test_what_was_reported_after_the_checkpoint_is_forgotten(tmp_path):
    stats = tmp_path / "stats.jsonl"
    stats.write_text("".join(f'{{"samples": {samples}}}\n' for samples in (2, 4, 6)))
    checkpoints.forget_after(stats, 4)
    assert stats.read_text() == '{"samples": 2}\n{"samples": 4}\n'
    checkpoints.forget_after(tmp_path / "none.jsonl", 4)  # a run that was killed before it reported
