import re

import httpx
import pytest
from web_server import MARK, browser, fill, photo_bytes, problem, running, upload

from twoface.core.errors import InputError
from twoface.web.security import HEADERS
from twoface.web.server import Server
from twoface.web.sessions import SECONDS, TRIES, WINDOW, Sessions
from twoface.web.settings import Settings

PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def locked(tmp_path_factory):
    folder = tmp_path_factory.mktemp("locked")
    (folder / "passwords").write_text(f"# for the family\n{PASSWORD}\nanother long password\n")
    with running(folder, auth=folder / "passwords") as client:
        yield client


@pytest.fixture
def stranger(locked):
    with httpx.Client(base_url=locked.base_url, headers=MARK) as client:
        yield client


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "example.org"])
def test_other_addresses_need_a_password(host):
    with pytest.raises(InputError, match="--auth"):
        Settings(host=host)


@pytest.mark.parametrize("content", ["", "# only a comment\n", "short\n"])
def test_a_password_must_be_worth_one(tmp_path, content):
    (tmp_path / "passwords").write_text(content)
    with pytest.raises(InputError, match="16 letters"):
        Server(Settings(port=0, auth=tmp_path / "passwords"))


@pytest.mark.parametrize(
    ("address", "status"),
    [("", 200), ("api/status", 200), ("samples/photo.jpg", 200), ("nothing", 404), ("api/photos/0/preview", 404)],
)
def test_every_answer_carries_the_headers(client, address, status):
    answer = client.get(address)
    assert answer.status_code == status
    for name, value in HEADERS.items():
        assert answer.headers[name] == value
    assert "access-control-allow-origin" not in answer.headers and "server" not in answer.headers
    assert answer.headers["cache-control"] == ("no-store" if address.startswith(("api", "samples")) else "no-cache")


def test_the_policy_allows_nothing_inline_and_nothing_foreign():
    policy = HEADERS["content-security-policy"]
    assert "default-src 'self'" in policy and "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy and "http" not in policy and "*" not in policy


def test_the_page_comes_with_a_session(server):
    cookie = httpx.get(server.base_url).headers["set-cookie"]
    name = f"twoface-{server.base_url.port}"
    assert re.fullmatch(rf"{name}=[\w-]{{43}}; Path=/; HttpOnly; SameSite=Strict", cookie)


@pytest.mark.parametrize("cookie", ["x", "0" * 44, "../../etc/passwd", "é" * 43])
def test_a_cookie_that_we_did_not_make_is_replaced(server, cookie):
    headers = {b"cookie": f"twoface-{server.base_url.port}={cookie}".encode()}
    assert "set-cookie" in httpx.get(f"{server.base_url}api/status", headers=headers).headers


def test_photos_of_a_session_are_found_from_no_other(client, server):
    photo = upload(client)
    made = fill(client, photo)
    with browser(server.base_url) as other:
        problem(other.get(f"api/photos/{photo['id']}/preview"), 404, "photo_gone")
        problem(other.get(f"api/fills/{made['id']}/photo"), 404, "fill_gone")
        other.delete(f"api/photos/{photo['id']}")
    assert client.get(f"api/photos/{photo['id']}/preview").status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:8000", "192.168.1.2", "", "a b", "[::1"]
)
@pytest.mark.parametrize("address", ["", "api/status", "samples/photo.jpg", "index.html"])
def test_foreign_names_are_not_answered(client, host, address):
    problem(client.get(address, headers={"Host": host}), 403, "forbidden")


@pytest.mark.parametrize("host", ["localhost", "localhost:9000", "127.0.0.1", "[::1]:8000"])
def test_names_of_this_machine_are(client, host):
    assert client.get("api/status", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Two-Face": "0"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://["},
        {"Origin": "http://127.0.0.1:1"},
        {"Host": "localhost", "Origin": "http://localhost.evil.example"},
        {"Host": "localhost:80", "Origin": "http://localhost:8000"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_what_our_page_did_not_send_is_refused(client, headers):
    for method, address in (("POST", "api/photos"), ("POST", "api/fill"), ("DELETE", "api/photos/0")):
        problem(client.request(method, address, headers=headers), 403, "forbidden")


def test_our_page_is_served(client):
    origin = str(client.base_url).rstrip("/")
    headers = {"Origin": origin, "Sec-Fetch-Site": "same-origin"}
    assert client.post("api/photos", content=photo_bytes(), headers=headers).status_code == 200


def test_other_sites_may_link_to_the_page_but_not_look_into_it(client):
    foreign = {"Sec-Fetch-Site": "cross-site"}
    assert client.get("", headers=foreign).status_code == 200
    problem(client.get("api/status", headers=foreign), 403, "forbidden")
    problem(client.get("samples/photo.jpg", headers=foreign), 403, "forbidden")


def test_a_preflight_allows_nothing(client):
    asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    answer = client.options("api/photos", headers=asked)
    assert answer.status_code == 403
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_without_a_password_nothing_is_shown(stranger):
    answer = stranger.get("")
    assert (answer.status_code, answer.headers["location"]) == (303, "login")
    assert not re.search(r'(src|href)="/', stranger.get("login").text), "a proxy may have us under a prefix"
    for address in ("api/status", "api/photos/0/holes/eyes", "samples/photo.jpg"):
        problem(stranger.get(address), 401, "unauthorized")
    problem(stranger.post("api/photos", content=photo_bytes()), 401, "unauthorized")
    assert "set-cookie" not in stranger.get("api/status").headers


def test_an_id_of_ones_own_is_no_login(stranger, locked):
    own = {"Cookie": f"twoface-{locked.base_url.port}={'0' * 43}"}
    problem(stranger.get("api/status", headers=own), 401, "unauthorized")


def test_a_password_opens_a_session(stranger):
    answer = stranger.post("login", json={"password": PASSWORD})
    assert answer.status_code == 204
    assert "HttpOnly; SameSite=Strict" in answer.headers["set-cookie"]
    assert stranger.get("").status_code == 200
    fill(stranger, upload(stranger))


def test_who_signs_out_is_out_and_the_photos_are_forgotten(stranger):
    problem(stranger.post("logout"), 401, "unauthorized")
    stranger.post("login", json={"password": PASSWORD})
    upload(stranger)
    assert stranger.post("logout").status_code == 204
    problem(stranger.get("api/status"), 401, "unauthorized")


def test_behind_tls_the_cookie_is_secure(stranger):
    headers = {"Host": "photos.example", "Origin": "https://photos.example"}
    answer = stranger.post("login", json={"password": PASSWORD}, headers=headers)
    assert answer.status_code == 204
    assert re.fullmatch(r"twoface=[\w-]{43}; Path=/; HttpOnly; SameSite=Strict; Secure", answer.headers["set-cookie"])


def test_a_password_is_not_taken_in_the_clear(stranger):
    headers = {"Host": "192.168.1.2:8000", "Origin": "http://192.168.1.2:8000"}
    problem(stranger.post("login", json={"password": PASSWORD}, headers=headers), 403, "https_needed")


def test_a_login_from_another_page_is_refused(stranger):
    headers = {"Origin": "https://evil.example"}
    problem(stranger.post("login", json={"password": PASSWORD}, headers=headers), 403, "forbidden")
    problem(stranger.post("login", json={"password": PASSWORD}, headers={"X-Two-Face": ""}), 403, "forbidden")


def test_passwords_cannot_be_tried_out(locked):
    with httpx.Client(base_url=locked.base_url, headers=MARK) as client:
        for attempt in range(TRIES):
            problem(client.post("login", json={"password": f"wrong {attempt}"}), 401, "unauthorized")
        answer = client.post("login", json={"password": PASSWORD})
        problem(answer, 429, "too_many")
        assert 0 < int(answer.headers["retry-after"]) <= WINDOW


def test_a_proxy_tells_who_tries_passwords_out(tmp_path):
    (tmp_path / "passwords").write_text(PASSWORD)

    def log_in(client, address, password):
        headers = {**MARK, "X-Forwarded-For": address}
        return client.post("login", json={"password": password}, headers=headers).status_code

    with running(tmp_path, auth=tmp_path / "passwords") as client:
        for _ in range(TRIES):
            assert log_in(client, "203.0.113.9, 198.51.100.1", "wrong") == 401
        assert log_in(client, "198.51.100.1", PASSWORD) == 429, "of several the last is the proxy's word"
        assert log_in(client, "198.51.100.2", PASSWORD) == 204
    with running(tmp_path, auth=tmp_path / "passwords", proxies=("192.0.2.1",)) as client:
        assert {log_in(client, f"198.51.100.{n}", "wrong") for n in range(TRIES)} == {401}
        assert log_in(client, "198.51.100.99", PASSWORD) == 429, "who is no proxy is not believed"


class OneKey:
    def valid(self, key):
        return key == PASSWORD


def test_logins_end():
    now = [0.0]
    sessions = Sessions(OneKey(), clock=lambda: now[0])
    id = sessions.log_in(PASSWORD)
    assert sessions.log_in("wrong") is None
    now[0] = SECONDS - 1
    assert sessions.known(id)
    now[0] = SECONDS + 1
    assert not sessions.known(id)


def test_the_oldest_logins_make_room(monkeypatch):
    monkeypatch.setattr("twoface.web.sessions.LOGINS", 2)
    sessions = Sessions(OneKey())
    ids = [sessions.log_in(PASSWORD) for _ in range(3)]
    assert [sessions.known(id) for id in ids] == [False, True, True]


def test_addresses_that_failed_wait_and_are_forgotten():
    now = [0.0]
    sessions = Sessions(OneKey(), clock=lambda: now[0])
    for now[0] in range(TRIES):
        assert sessions.pause("a") == 0
        sessions.failed("a")
    assert sessions.pause("a") == WINDOW - TRIES + 1
    assert sessions.pause("b") == 0
    now[0] = WINDOW + 1
    assert sessions.pause("a") == 0
