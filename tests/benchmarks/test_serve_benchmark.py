"""benchmarks/serve.py runs, small, and what it prints is of answers that were right."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from fakes import write_network

SCRIPT = Path(__file__).parents[2] / "benchmarks/serve.py"


def run(tmp_path, *options):
    model = write_network(tmp_path / "n.onnx")
    line = [sys.executable, str(SCRIPT), "--model", str(model), *options]
    return subprocess.run(line, capture_output=True, text=True, check=True, timeout=300).stdout


@pytest.mark.slow
def test_the_tables_have_every_door(tmp_path):
    printed = run(tmp_path, "--callers", "1", "--seconds", "0.02", "--rounds", "1")
    for door in ("engine alone", "v1 JSON", "v2 JSON", "v2 binary REST", "v2 gRPC", "photo API"):
        row = re.search(rf"^\| {door}.*$", printed, re.M)[0]
        assert len(re.findall(r"\d+\.\d / \d+, \d+\.\d", row)) == 1
    assert "WRONG" not in printed and "refused" not in printed
    assert len(re.findall(r"of no batching\)", printed)) == 3


@pytest.mark.slow
def test_a_soak_counts_answers_and_memory(tmp_path):
    printed = run(tmp_path, "--soak", "0.01")
    (answers, failed, wrong) = map(int, re.search(r"\| 0\.\d \| (\d+) \| (\d+) \| (\d+) \|", printed).groups())
    assert answers > 0 and failed == wrong == 0
    assert re.search(r"memory before \d+\.\d MB", printed)
