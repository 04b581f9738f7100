"""A server that all tests of a module share, and one for each test that needs its own."""

import pytest
from serving import Gate, network_file, running

from twoface.service import engine as module


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    with running(network_file(tmp_path_factory.mktemp("served"))) as server:
        yield server


@pytest.fixture
def gated(tmp_path, monkeypatch):
    """gated(**settings): a running server whose network waits at `server.gate`."""
    gate = Gate()
    gate.opened.set()  # for the warm-up
    monkeypatch.setattr(module, "FillModel", lambda *_: gate)
    contexts = []

    def start(**settings):
        context = running(network_file(tmp_path), **settings)
        server = context.__enter__()
        contexts.append(context)
        server.gate = gate
        gate.opened.clear()
        gate.began.clear()
        gate.rows.clear()
        return server

    yield start
    gate.opened.set()
    for context in contexts:
        context.__exit__(None, None, None)
