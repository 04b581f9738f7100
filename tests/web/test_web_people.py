"""The people of an index, as the page sees and changes them."""

import io
import os
import shutil
from functools import partial

import pytest
from filelock import FileLock
from PIL import Image
from searching import OWN, searching_studio
from test_web_search import search
from web_server import browser, good, problem, running

from twoface.search.lance import LanceStore
from twoface.search.people import People

PEOPLE = "api/indexes/0/people"


@pytest.fixture(scope="module")
def server(folder):
    indexes = (str(folder / "my-photos"),)
    with running(folder, partial(searching_studio, indexes), indexes=indexes) as client:
        yield client


@pytest.fixture
def grouped(client, folder):
    """The number of the one whose photos are own/0, 1 and 2; nobody is grouped at the end."""
    people = good(client.post(PEOPLE))["people"]
    yield people[0]["number"]
    good(client.delete(PEOPLE))


def ask(client, number, what, **wanted):
    return client.post(f"{PEOPLE}/{number}/{what}", json=wanted)


def kept(folder):
    """-> {name or number: [OWN/N.png]} as the index keeps it."""
    people = People.read(LanceStore(folder / "my-photos"))
    return {one.label: sorted("/".join(p.split("/")[-2:]) for p, _ in one.faces) for one in people.people.values()}


def test_nobody_is_grouped_or_named_before_it_is_asked_for(client, folder):
    assert good(client.get(PEOPLE)) == {"grouped": False, "people": [], "alone": 5}
    assert not (folder / "my-photos" / "people.json").exists()
    assert search(client, OWN)[1]["person"] == ""
    groups = good(client.post(PEOPLE))
    assert groups["grouped"] and groups["alone"] == 2
    assert groups["people"] == [{"number": 1, "name": "", "faces": 3}]
    assert good(client.get(PEOPLE)) == groups
    assert good(client.delete(PEOPLE)) == {"grouped": False, "people": [], "alone": 5}


def test_a_name_is_kept_and_a_search_says_it(client, folder, grouped):
    assert search(client, OWN)[1]["person"] == str(grouped)
    named = good(ask(client, grouped, "name", name="  Anna  María "))
    assert (named["number"], named["name"], len(named["faces"])) == (grouped, "Anna María", 3)
    assert kept(folder) == {"Anna María": ["own/0.png", "own/1.png", "own/2.png"]}
    _, answer = search(client, OWN)
    assert answer["person"] == "Anna María"
    assert [c["person"] for c in answer["candidates"]] == ["Anna María", "Anna María", "", ""]
    assert good(ask(client, grouped, "name", name=""))["name"] == ""


def test_faces_are_split_off_moved_and_merged_again(client, folder, grouped):
    faces = {face["name"]: face["key"] for face in good(client.get(f"{PEOPLE}/{grouped}"))["faces"]}
    assert list(faces) == ["0.png", "1.png", "2.png"]
    other = good(ask(client, grouped, "move", faces=[faces["2.png"]]))
    assert other["number"] != grouped and kept(folder)[str(other["number"])] == ["own/2.png"]
    good(ask(client, grouped, "move", faces=[faces["1.png"]], to=other["number"]))
    assert kept(folder) == {str(grouped): ["own/0.png"], str(other["number"]): ["own/1.png", "own/2.png"]}
    good(ask(client, other["number"], "name", name="Ben"))
    merged = good(ask(client, other["number"], "merge", people=[grouped]))
    assert merged["name"] == "Ben" and kept(folder) == {"Ben": ["own/0.png", "own/1.png", "own/2.png"]}
    problem(client.get(f"{PEOPLE}/{grouped}"), 404, "no_person")


def test_what_cannot_be_is_refused_and_changes_nothing(client, folder, grouped):
    faces = [face["key"] for face in good(client.get(f"{PEOPLE}/{grouped}"))["faces"]]
    other = good(ask(client, grouped, "move", faces=faces[:1]))
    good(ask(client, grouped, "name", name="Anna"))
    before = kept(folder)
    error = problem(ask(client, other["number"], "name", name="Anna"), 422, "name_taken")
    assert error["person"] == grouped
    problem(ask(client, grouped, "name", name="12"), 422, "name_is_number")
    problem(ask(client, 99, "name", name="Zoe"), 404, "no_person")
    problem(ask(client, grouped, "merge", people=[99]), 404, "no_person")
    problem(ask(client, grouped, "move", faces=faces[1:2], to=99), 404, "no_person")
    problem(ask(client, grouped, "move", faces=faces), 404, "face_gone")  # one of them is the other's
    for wanted in ({"faces": []}, {"faces": faces, "path": "/etc/passwd"}, {"faces": ["../.."]}):
        problem(ask(client, grouped, "move", **wanted), 400, "bad_request")
    problem(client.get("api/indexes/1/people"), 400, "bad_request")
    assert kept(folder) == before


def test_faces_are_shown_and_nothing_but_faces_of_people(client, folder, grouped):
    one = good(client.get(f"{PEOPLE}/{grouped}"))
    assert str(folder) not in str(one) and os.sep not in str(one["faces"])
    for address in (f"{PEOPLE}/{grouped}/crop", f"{PEOPLE}/{grouped}/faces/{one['faces'][0]['key']}/crop?size=96"):
        shown = client.get(address)
        assert shown.headers["content-type"] == "image/webp" and shown.headers["cache-control"] == "no-store"
        assert Image.open(io.BytesIO(shown.content)).width in (96, 128)
    problem(client.get(f"{PEOPLE}/{grouped}/faces/{'0' * 16}/crop"), 404, "face_gone")
    problem(client.get(f"{PEOPLE}/99/crop"), 404, "no_person")
    path = folder / "photos" / "own" / one["faces"][0]["name"]
    shutil.move(path, folder / "away.png")
    try:
        error = problem(client.get(f"{PEOPLE}/{grouped}/faces/{one['faces'][0]['key']}/crop"), 404, "photo_missing")
    finally:
        shutil.move(folder / "away.png", path)
    assert str(folder) not in error["message"]


def test_while_another_process_writes_it_says_so(client, folder, grouped):
    with FileLock(folder / "my-photos" / ".writing"):
        error = problem(ask(client, grouped, "name", name="Anna"), 503, "index_busy")
        assert "my-photos" in error["message"] and str(folder) not in error["message"]
    good(ask(client, grouped, "name", name="Anna"))


def test_other_sites_change_nothing(client, server, grouped):
    with browser(server.base_url) as other:
        del other.headers["x-two-face"]
        for method, address in (("POST", PEOPLE), ("DELETE", PEOPLE), ("POST", f"{PEOPLE}/{grouped}/name")):
            problem(other.request(method, address, json={"name": "X"}), 403, "forbidden")
