import pytest
from fakes import run_tasks_here
from search_fakes import networks, write_people

from twoface.search.index import build


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """One worker looks at photos in this process, and nobody waits for the disk."""
    monkeypatch.setattr("twoface.search.index.run_tasks", run_tasks_here)
    monkeypatch.setattr("os.sync", lambda: None)
    monkeypatch.setattr("os.fsync", lambda file: None)


@pytest.fixture
def photos(tmp_path):
    """A folder of four people with three photos each."""
    write_people(tmp_path / "photos")
    return tmp_path / "photos"


@pytest.fixture
def index(photos, tmp_path):
    """An index of `photos`, its folders naming people."""
    build([photos], tmp_path / "index", people=True, workers=1, progress=False, load=networks)
    return tmp_path / "index"
