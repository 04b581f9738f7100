"""A server that all tests of a module share, and one for each test that needs its own."""

import logging

import pytest
from serving import Gate, network_file, running

from twoface.service import engine as module


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    with running(network_file(tmp_path_factory.mktemp("served"))) as server:
        yield server


@pytest.fixture(autouse=True)
def logs():
    """A command in this process takes the logs to a stderr that is closed after its test: they are taken back."""
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


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
