import pytest
from search_fakes import networks, write_people

from twoface.search.index import build


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
