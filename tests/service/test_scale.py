"""`twoface serve --replicas 2` as a process of its own, on the constant network of `fakes`, where Ray is installed."""

import contextlib
import functools
import importlib.util
import os
import random
import re
import signal
import socket
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import httpx
import numpy as np
import pytest
import tritonclient.grpc as triton
from fakes import until
from serving import network_file, pictures
from test_running import INFER, TWOFACE, picture_of, post
from tritonclient.utils import InferenceServerException

from twoface.cli import main
from twoface.core.mesh import Mesher
from twoface.core.network import FillModel
from twoface.service.tensors import check, generated, with_registered

KEY = "k" * 20
HEADERS = {"x-api-key": KEY}
needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="Ray is not installed: pip install -e .[scale]"
)


@pytest.mark.parametrize("replicas", ["0", "3:2", "2:", "x"])
def test_replicas_are_a_count_or_a_range(replicas, capsys):
    with pytest.raises(SystemExit):
        main(["serve", "--replicas", replicas])
    assert "--replicas" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.skipif(importlib.util.find_spec("ray") is not None, reason="Ray is installed")
def test_without_ray_it_says_what_to_install(capsys):
    assert main(["serve", "--replicas", "2"]) == 1
    assert "pip install -e .[scale]" in capsys.readouterr().err


@needs_ray
@pytest.mark.parametrize(
    ("options", "advice"), [([], "--no-grpc"), (["--port", "0"], "--port"), (["--tls-cert", "c"], "--tls")]
)
def test_what_ray_cannot_keep_is_refused(options, advice, capsys):
    assert main(["serve", "--replicas", "2", *options]) == 2
    assert advice in capsys.readouterr().err


@needs_ray
def test_a_port_that_is_taken_is_one_line_before_ray_starts(capsys):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        line = ["serve", "--replicas", "2", "--no-grpc", "--port", str(listener.getsockname()[1])]
        assert main(line) == 1
    error = capsys.readouterr().err
    assert "cannot listen on 127.0.0.1 port" in error and error.count("\n") == 1


@pytest.fixture(scope="module")
def replicas(tmp_path_factory):
    """Two replicas -> url, grpc, process, pids() of the replicas that ever were, right(answer, seed)."""
    folder = tmp_path_factory.mktemp("scaled")
    (folder / "keys").write_text(KEY)
    ports = [free_port(), free_port()]
    line = [*TWOFACE, "serve", "--replicas", "2", "--threads", "1", "--photo-workers", "0"]
    line += ["--model", str(model := network_file(folder)), "--api-key", str(folder / "keys")]
    line += ["--port", str(ports[0]), "--grpc-port", str(ports[1])]
    log = folder / "log"
    with open(log, "w") as file:
        process = subprocess.Popen(line, stdout=file, stderr=file, env={**os.environ, "RAY_DEDUP_LOGS": "0"})

    network, mesher = FillModel(model), Mesher()

    @functools.cache
    def expected(seed):
        """What a process of its own answers, which registers the reference with the mesh that ships."""
        image, reference = pictures(seed=seed)
        crops = with_registered(check(image, None, reference, rows=1), mesher, network)
        return generated(crops, network.run(crops.image, crops.mask, crops.reference, crops.trust)["fill"])

    def right(picture, seed=0):
        return np.abs(picture - expected(seed)).max() < 0.5 / 255

    def pids():
        return list(dict.fromkeys(re.findall(r"ServeReplica:\S+ pid=(\d+)", log.read_text())))

    try:
        until(lambda: "serving on" in log.read_text() or process.poll() is not None, seconds=120)
        until(lambda: len(pids()) == 2)
        where = {"url": f"http://127.0.0.1:{ports[0]}", "grpc": f"127.0.0.1:{ports[1]}"}
        yield SimpleNamespace(**where, process=process, pids=pids, log=log, right=right)
    finally:
        process.terminate()
        process.wait(60)


def free_port():
    """None of those that the system gives to whoever asks for any: Ray's processes ask for many while it starts."""
    for port in random.sample(range(20_000, 32_000), 100):
        with contextlib.suppress(OSError), socket.create_server(("0.0.0.0", port)):
            return port


@needs_ray
def test_every_door_answers(replicas):
    example = httpx.get(replicas.url + "/examples/tfserving.json", headers=HEADERS)
    answer = httpx.post(f"{replicas.url}/v1/models/two_face_model:predict", content=example.content, headers=HEADERS)
    assert np.shape(answer.json()["outputs"]) == (1, 128, 128, 3)
    assert replicas.right(picture_of(post(replicas, **HEADERS)))
    with triton.InferenceServerClient(replicas.grpc) as client:
        answer = client.infer("two_face_model", tensors(), headers=HEADERS)
        assert replicas.right(answer.as_numpy("generated"))


@needs_ray
def test_errors_are_those_of_the_doors(replicas):
    assert post(replicas).status_code == 401
    assert httpx.get(replicas.url + "/v2/models/other", headers=HEADERS).status_code == 404
    assert httpx.post(replicas.url + INFER, content=b"[", headers=HEADERS).status_code == 400
    with triton.InferenceServerClient(replicas.grpc) as client:
        for headers, name, status in ((None, "two_face_model", "UNAUTHENTICATED"), (HEADERS, "other", "NOT_FOUND")):
            with pytest.raises(InferenceServerException) as error:
                client.infer(name, tensors(), headers=headers)
            assert error.value.status() == f"StatusCode.{status}"


@needs_ray
def test_a_replica_that_is_killed_costs_no_wrong_picture_and_is_replaced(replicas):
    stop, wrong, statuses = threading.Event(), [], []

    def keep_asking(seed):
        while not stop.is_set():
            answer = post(replicas, seed, **HEADERS)
            statuses.append(answer.status_code)
            if answer.status_code == 200 and not replicas.right(picture_of(answer), seed):
                wrong.append(seed)

    with ThreadPoolExecutor(4) as pool:
        callers = [pool.submit(keep_asking, seed) for seed in range(4)]
        try:
            until(lambda: statuses.count(200) > 20)
            before = replicas.pids()
            os.kill(int(before[0]), signal.SIGKILL)
            until(lambda: len(replicas.pids()) > len(before), seconds=90)
            answered = statuses.count(200)
            until(lambda: statuses.count(200) > answered + 20)
        finally:
            stop.set()
        assert all(caller.result() is None for caller in callers)
    assert wrong == []
    assert set(statuses) <= {200, 500, 503} and statuses[-10:] == [200] * 10


@needs_ray
def test_sigterm_answers_what_was_accepted_and_ends_with_0(replicas):
    statuses = []

    def keep_asking(seed):
        while True:
            try:
                statuses.append(post(replicas, seed, **HEADERS).status_code)
            except httpx.TransportError:
                return  # the door is closed

    with ThreadPoolExecutor(8) as pool:
        callers = [pool.submit(keep_asking, seed) for seed in range(8)]
        until(lambda: len(statuses) > 20)
        replicas.process.send_signal(signal.SIGTERM)
        assert all(caller.result() is None for caller in callers)
    assert set(statuses) <= {200, 503}, "never 404, which clients take for an answer"
    assert replicas.process.wait(60) == 0
    assert "drained" in replicas.log.read_text()


@needs_ray
def test_sigterm_while_ray_starts_ends_without_a_trace(tmp_path):
    line = [*TWOFACE, "serve", "--replicas", "1", "--threads", "1", "--photo-workers", "0", "--no-grpc"]
    line += ["--port", str(free_port()), "--model", str(network_file(tmp_path))]
    log = tmp_path / "log"
    with open(log, "w") as file:
        process = subprocess.Popen(line, stdout=file, stderr=file)
    until(lambda: "Ray" in log.read_text() or process.poll() is not None)
    process.send_signal(signal.SIGTERM)
    assert process.wait(120) == 0
    assert "Traceback" not in log.read_text() and "SIGTERM received" not in log.read_text()


def tensors():
    arrays = dict(zip(("image", "reference"), pictures(), strict=True))
    return [triton.InferInput(k, a.shape, "FP32").set_data_from_numpy(a) for k, a in arrays.items()]
