"""benchmarks/faults.py runs, and a server that is stopped under load passes it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from fakes import write_network

SCRIPT = Path(__file__).parents[2] / "benchmarks/faults.py"


@pytest.mark.slow
def test_a_stop_and_bodies_that_are_too_large(tmp_path):
    model = write_network(tmp_path / "n.onnx")
    line = [sys.executable, str(SCRIPT), "--model", str(model), "--seconds", "1", "--only", "SIGTERM,16 x 100 MB"]
    printed = subprocess.run(line, capture_output=True, text=True, check=True, timeout=300).stdout
    for row in printed.splitlines()[2:]:
        answers, wrong = map(int, re.search(r"(\d+) answers, (\d+) wrong", row).groups())
        assert answers > 0 and wrong == 0
    assert "exit code 0, 0 processes left, 0 traces" in printed and "16 413" in printed
