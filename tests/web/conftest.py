import pytest
from web_server import browser, running


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server with stand-ins; one for all tests of a file."""
    with running(tmp_path_factory.mktemp("web")) as client:
        yield client


@pytest.fixture
def client(server):
    """A new browser at it."""
    with browser(server.base_url) as fresh:
        yield fresh
