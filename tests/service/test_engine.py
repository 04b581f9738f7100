import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pytest
from fakes import until
from serving import Gate, network_file, on_loop, pictures, running

from twoface.core.errors import InputError, TwoFaceError
from twoface.core.network import REQUIRED_METADATA
from twoface.service import engine as module
from twoface.service.versions import find_labels, find_versions

MODEL = "two_face_model"


def ask(server, version="", **headers):
    """Fill black with a white reference -> the grey of the answer's centre, by which the networks here differ."""
    image, reference = np.zeros((1, 3, 128, 128), np.uint8), np.full((1, 3, 128, 128), 200, np.uint8)
    inputs = [
        {"name": name, "shape": array.shape, "datatype": "UINT8", "data": array.ravel().tolist()}
        for name, array in (("image", image), ("reference", reference))
    ]
    path = f"/v2/models/{MODEL}{version}/infer"
    answer = httpx.post(server.url + path, json={"inputs": inputs, "outputs": [{"name": "generated"}]}, headers=headers)
    if answer.status_code != 200:
        return answer.status_code
    said = answer.json()
    return int(said["model_version"]), said["outputs"][0]["data"][64 * 128 + 64]


def versions(server):
    return httpx.get(f"{server.url}/v2/models/{MODEL}").json()["versions"]


def test_versions_are_found_in_numbered_folders(tmp_path):
    one, ten = network_file(tmp_path / "1", "model.onnx"), network_file(tmp_path / "10", "any.onnx")
    (tmp_path / "2").mkdir()
    (tmp_path / "notes").mkdir()
    assert {v: f.path for v, f in find_versions(tmp_path).items()} == {1: one, 10: ten}
    assert list(find_versions(one)) == [1]
    assert find_versions(tmp_path / "nothing") == {}
    assert find_versions(None)[1].path.name == "twoface-int8.onnx"
    assert find_versions(None, "cuda")[1].path.name == "twoface.onnx"


@pytest.mark.parametrize("content", [None, b"", b"not a network"])
def test_nothing_to_serve_is_an_error_at_once(tmp_path, content):
    path = tmp_path / "n.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError), running(path):
        pass


def test_a_new_version_is_taken_in_beside_the_old_and_a_removed_one_let_go(tmp_path):
    network_file(tmp_path / "1")
    with running(tmp_path) as server:
        assert ask(server) == (1, 200)
        network_file(tmp_path / "3", gain=0.5)
        until(lambda: versions(server) == ["1", "3"])
        assert ask(server) == (3, 100) and ask(server, "/versions/1") == (1, 200)
        (tmp_path / "1" / "n.onnx").unlink()
        until(lambda: versions(server) == ["3"])
        assert ask(server, "/versions/1") == 404
        (tmp_path / "3" / "n.onnx").unlink()
        time.sleep(0.3)  # several looks at the folder
        assert ask(server) == (3, 100), "the last one stays"


def test_labels_are_links_that_may_be_moved_while_it_serves(tmp_path):
    network_file(tmp_path / "1")
    network_file(tmp_path / "2", gain=0.5)
    (tmp_path / "stable").symlink_to("1", target_is_directory=True)
    assert find_labels(tmp_path) == {"stable": 1} and set(find_versions(tmp_path)) == {1, 2}
    with running(tmp_path) as server:
        model = f"{server.url}/v1/models/{MODEL}/labels"
        example = httpx.get(server.url + "/examples/tfserving.json").content

        def labelled():
            answer = httpx.post(f"{model}/stable:predict", content=example)
            return answer.json()["outputs"][0][60][64][0]

        def version():
            return httpx.get(f"{model}/stable").json()["model_version_status"][0]["version"]

        before = labelled()
        assert version() == "1" and httpx.get(f"{model}/other").status_code == 404
        (tmp_path / "next").symlink_to("2", target_is_directory=True)
        (tmp_path / "next").rename(tmp_path / "stable")
        until(lambda: version() == "2")
        assert labelled() == pytest.approx(before / 2, abs=0.01)
        assert httpx.get(f"{model}/stable/metadata").json()["model_spec"]["version"] == "2"


def test_the_repository_index_says_why_a_version_is_refused(tmp_path):
    network_file(tmp_path / "1")
    (tmp_path / "2").mkdir()
    (tmp_path / "2" / "n.onnx").write_text("no network")
    with running(tmp_path) as server:
        one, two = httpx.post(f"{server.url}/v2/repository/index").json()
        assert (one["state"], two["state"]) == ("READY", "UNAVAILABLE") and "not a readable ONNX" in two["reason"]
        assert httpx.post(f"{server.url}/v2/repository/index", json={"ready": True}).json() == [one]
        network_file(tmp_path / "2")
        until(lambda: versions(server) == ["1", "2"])
        assert httpx.post(f"{server.url}/v2/repository/index").json()[1]["state"] == "READY"


@pytest.mark.parametrize("damage", ["empty", "text", "half", "another network", "no metadata"])
def test_a_corrupt_version_is_refused_and_the_old_one_stays(tmp_path, damage, caplog):
    network_file(tmp_path / "1")
    with running(tmp_path) as server:
        path = tmp_path / "2" / "model.onnx"
        path.parent.mkdir()
        good = network_file(tmp_path / "aside").read_bytes()
        if damage == "another network":
            network_file(path.parent, path.name, leave_out=("flow",))
        elif damage == "no metadata":
            network_file(path.parent, path.name, metadata={**REQUIRED_METADATA, "twoface.format": "9"})
        else:
            path.write_bytes({"empty": b"", "text": b"hello", "half": good[: len(good) // 2]}[damage])
        until(lambda: "twoface_model_refused_total 1.0" in httpx.get(server.url + "/metrics").text)
        assert versions(server) == ["1"] and ask(server) == (1, 200)
        assert "version 2 refused" in caplog.text
        path.write_bytes(good)
        until(lambda: versions(server) == ["1", "2"])


def test_a_refused_version_is_not_tried_again_until_its_file_changes(tmp_path, monkeypatch):
    network_file(tmp_path / "1")
    path = tmp_path / "2" / "model.onnx"
    path.parent.mkdir()
    path.write_text("no network")
    looks, loads = [], []
    find, load = module.find_versions, module.Engine._load
    monkeypatch.setattr(module, "find_versions", lambda *given: looks.append(1) or find(*given))
    monkeypatch.setattr(module.Engine, "_load", lambda self, place: loads.append(place) or load(self, place))
    with running(tmp_path) as server:
        seen = len(looks)
        until(lambda: len(looks) >= seen + 3)
        assert loads.count(path) == 1
        path.write_text("still no network")
        until(lambda: loads.count(path) == 2)
        assert versions(server) == ["1"]


def test_a_network_that_answers_no_numbers_is_refused(tmp_path):
    network_file(tmp_path / "1")
    with running(tmp_path) as server:
        network_file(tmp_path / "2", offset=float("nan"))
        until(lambda: "twoface_model_refused_total 1.0" in httpx.get(server.url + "/metrics").text)
        assert ask(server) == (1, 200)


def test_a_file_that_is_written_anew_is_switched_without_a_failed_request(tmp_path):
    path = network_file(tmp_path)
    told = []
    with running(path) as server:
        server.config.app.state.engine.switched.append(told.append)
        network_file(tmp_path, "new.onnx", gain=0.5).replace(path)
        seen = [ask(server)]
        while seen[-1] != (1, 100):
            seen.append(ask(server))
            assert len(seen) < 500
        assert set(seen) <= {(1, 200), (1, 100)}
        until(lambda: told == [path])


def test_a_request_whose_network_is_put_away_while_its_reference_is_registered_is_answered_by_the_new_one(
    tmp_path, monkeypatch
):
    path, told = network_file(tmp_path), []
    registered = module.with_registered

    def slowly(*arguments):
        until(lambda: told == [path])
        return registered(*arguments)

    with running(path) as server:
        server.config.app.state.engine.switched.append(told.append)
        assert ask(server) == (1, 200)
        monkeypatch.setattr(module, "with_registered", slowly)
        network_file(tmp_path, "new.onnx", gain=0.5).replace(path)
        assert ask(server) == (1, 100)


class Failing(Gate):
    """A network that fails when it is told to."""

    broken = False

    def run(self, image, mask, reference, trust):
        if self.broken:
            raise TwoFaceError("the network failed: out of order")
        return super().run(image, mask, reference, trust)


def test_a_failing_network_answers_no_picture_and_is_not_ready_until_it_works_again(tmp_path, monkeypatch):
    network = Failing()
    network.opened.set()
    monkeypatch.setattr(module, "FillModel", lambda *_: network)
    monkeypatch.setattr(module, "PROBE_INTERVAL", 0.05)
    with running(network_file(tmp_path)) as server:
        ready = server.url + "/v2/health/ready"
        assert httpx.get(ready).status_code == 200
        network.broken = True
        assert ask(server) == 500
        until(lambda: httpx.get(ready).status_code == 503)
        assert httpx.get(f"{server.url}/v2/models/{MODEL}/ready").status_code == 503
        assert "twoface_ready 0.0" in httpx.get(server.url + "/metrics").text
        assert httpx.get(server.url + "/v2/health/live").status_code == 200
        network.broken = False
        until(lambda: httpx.get(ready).status_code == 200)
        assert ask(server) == (1, 200)


def test_one_request_that_the_network_fails_on_does_not_make_it_unready(tmp_path, monkeypatch):
    class Picky(Gate):
        def run(self, image, mask, reference, trust):
            if reference.any():
                raise TwoFaceError("not this one")
            return super().run(image, mask, reference, trust)

    network = Picky()
    network.opened.set()
    monkeypatch.setattr(module, "FillModel", lambda *_: network)
    with running(network_file(tmp_path)) as server:
        assert ask(server) == 500
        time.sleep(0.1)
        assert httpx.get(server.url + "/v2/health/ready").status_code == 200


def test_a_stuck_network_is_not_ready(gated, monkeypatch):
    monkeypatch.setattr(module, "STUCK_SECONDS", 0.05)
    server = gated()
    assert httpx.get(server.url + "/v2/health/ready").status_code == 200
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask, server)
        until(lambda: httpx.get(server.url + "/v2/health/ready").status_code == 503)
        server.gate.opened.set()
        assert asked.result() == (1, 200)
    until(lambda: httpx.get(server.url + "/v2/health/ready").status_code == 200)


def test_a_real_network_answers_a_batch_of_callers_as_it_answers_one(tmp_path):
    image, reference = pictures(5)
    with running(None, batch_size=5) as server:
        engine = server.config.app.state.engine
        network = on_loop(server, engine.served).network
    mask = np.zeros((5, 1, 128, 128), np.float32)
    mask[:, :, 48:80, 48:80] = 1
    together = network.run(image, mask, reference)["fill"]
    alone = [network.run(*(a[n : n + 1] for a in (image, mask, reference)))["fill"][0] for n in range(5)]
    assert np.abs(together - np.stack(alone)).max() < 1 / 255
