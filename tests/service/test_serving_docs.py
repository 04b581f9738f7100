"""The examples of docs/serving.md run as they stand."""

import json
import os
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

DOCS = Path(__file__).parent.parent.parent / "docs" / "serving.md"
EXAMPLES = re.findall(r"^```(python|sh)\n(.*?)^```", DOCS.read_text(), re.M | re.S)


@pytest.mark.parametrize("example", [code for kind, code in EXAMPLES if kind == "python"])
def test_python(server, example):
    exec(compile(example, str(DOCS), "exec"), {"URL": server.url, "GRPC": server.grpc})


@pytest.mark.parametrize("example", [code for kind, code in EXAMPLES if kind == "sh"])
def test_shell(server, example, tmp_path):
    picture = np.random.default_rng(0).random((128, 128, 3)).round(4)
    (tmp_path / "reference.json").write_text(json.dumps(picture.tolist()))
    picture[48:80, 48:80] = 0
    (tmp_path / "masked.json").write_text(json.dumps(picture.tolist()))
    environment = {**os.environ, "URL": server.url}
    subprocess.run(["sh", "-e", "-c", example], cwd=tmp_path, env=environment, check=True)
    answer = json.loads((tmp_path / "answer.json").read_text())
    assert "predictions" in answer or "outputs" in answer


def test_there_are_examples_of_every_door():
    assert [kind for kind, _ in EXAMPLES] == ["sh", "python", "python", "python", "sh"]
