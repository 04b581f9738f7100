import hashlib
import re
import subprocess
import sys
import tomllib
from importlib import resources
from pathlib import Path

WALK = (
    "twoface, twoface.core.batch, twoface.core.blend, twoface.cli, twoface.research.data.prepare, "
    "twoface.core.inpainter, twoface.core.errors, twoface.core.faces, twoface.core.files, twoface.core.holes, "
    "twoface.core.identity, twoface.core.images, twoface.core.masks, twoface.core.metadata, twoface.core.network, "
    "twoface.serving.pool, twoface.service.server, twoface.web.server, twoface.core.workers"
)


def run(code, *arguments):
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_the_photos_way_imports_no_torch():
    loaded = run(f"import sys; import {WALK}; print(*sys.modules)")
    assert "twoface.core.inpainter" in loaded
    assert "torch" not in loaded and "skimage" not in loaded


def test_a_fill_imports_no_torch(tmp_path):
    code = (
        "import sys\n"
        "import numpy as np\n"
        "from fakes import write_network\n"
        "from twoface import Inpainter\n"
        "photo = np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)\n"
        "inpainter = Inpainter.load(write_network(sys.argv[1]), threads=1)\n"
        "face = (20, 20, 180, 180)\n"
        "inpainter.fill(photo, hole='eyes', face=face, reference=255 - photo, reference_face=face)\n"
        "print(*sys.modules)\n"
    )
    loaded = run(f"import sys; sys.path[:0] = {sys.path!r}\n{code}", str(tmp_path / "network.onnx"))
    assert "onnxruntime" in loaded
    assert "torch" not in loaded


def test_onnx_runtime_is_told_not_to_report_to_its_maker_before_it_is_loaded():
    code = "import os, sys, twoface; print('onnxruntime' in sys.modules, os.environ['ORT_DISABLE_TELEMETRY'])"
    assert run(code) == ["False", "1"]


def test_the_command_line_starts_without_the_heavy_packages():
    loaded = run("import sys; import twoface.cli; print(*sys.modules)")
    assert not {"numpy", "cv2", "onnxruntime", "PIL"} & set(loaded)


def test_type_checkers_are_told_that_the_package_is_annotated():
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())
    assert "py.typed" in project["tool"]["setuptools"]["package-data"]["twoface"]
    assert (resources.files("twoface") / "py.typed").is_file()


def test_the_notice_names_the_weights_that_ship():
    weights = resources.files("twoface") / "weights"
    told = dict(re.findall(r"SHA-256 of (\S+) ([0-9a-f]{64})", (weights / "NOTICE").read_text()))
    assert {"mesh.onnx", "face_mesh.npz", "blazeface.onnx", "recogniser.onnx"} <= told.keys()
    for name, digest in told.items():
        assert hashlib.sha256((weights / name).read_bytes()).hexdigest() == digest, name
