import shutil

import pytest
from fakes import run_tasks_here
from search_fakes import networks, write_people

from twoface.search.index import build


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """One worker looks at photos in this process."""
    monkeypatch.setattr("twoface.search.index.run_tasks", run_tasks_here)


@pytest.fixture(scope="session")
def kept(tmp_path_factory):
    """A folder of four people with three photos each, beside an index of it, its folders naming people -> (where both
    have to be, as the index holds paths; a copy of them)."""
    home = tmp_path_factory.mktemp("indexed").resolve()
    write_people(home / "photos")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("twoface.search.index.run_tasks", run_tasks_here)
        build([home / "photos"], home / "index", people=True, workers=1, progress=False, load=networks)
    copy = tmp_path_factory.mktemp("kept")
    shutil.move(home, copy / "home")
    return home, copy / "home"


@pytest.fixture
def home(kept):
    """Both, as they were made."""
    place, copy = kept
    shutil.copytree(copy, place)
    yield place
    shutil.rmtree(place)


@pytest.fixture
def photos(home):
    return home / "photos"


@pytest.fixture
def index(home):
    return home / "index"
