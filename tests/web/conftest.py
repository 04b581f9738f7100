import pytest
from searching import make_index
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


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with photos and an index of them; one for all tests of a file."""
    folder = tmp_path_factory.mktemp("search")
    make_index(folder)
    return folder
