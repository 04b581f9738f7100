"""The examples of docs/client.md run as they stand."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from serving import network_file, running

DOCS = Path(__file__).parents[2] / "docs" / "client.md"
EXAMPLES = re.findall(r"^```(python|sh)\n(.*?)^```", DOCS.read_text(), re.M | re.S)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running(network_file(tmp_path_factory.mktemp("served")), photo_workers=1) as server:
        yield server


@pytest.fixture
def checkout(tmp_path, samples, monkeypatch):
    """A folder with the samples in it, to be in."""
    (tmp_path / "samples").symlink_to(samples)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("example", [code for kind, code in EXAMPLES if kind == "python"])
def test_python(server, checkout, example, capsys):
    exec(compile(example, str(DOCS), "exec"), {"URL": server.url, "GRPC": f"grpc://{server.grpc}"})
    assert (checkout / "filled.png").stat().st_size > 1000 and capsys.readouterr().out


@pytest.mark.parametrize("example", [code for kind, code in EXAMPLES if kind == "sh"])
def test_shell(server, checkout, example):
    subprocess.run(["sh", "-e", "-c", example], env={**os.environ, "URL": server.url}, check=True)
    assert json.loads((checkout / "faces.json").read_text())["faces"]
    assert json.loads((checkout / "answer.json").read_text())["format"] == "png"
    assert (checkout / "filled.jpg").read_bytes().startswith(b"\xff\xd8")


def test_there_are_examples():
    assert [kind for kind, _ in EXAMPLES] == ["sh", "python", "python"]
