"""Uploads that would take the server down, were they decoded in it."""

import socket
import struct
import threading
import time
import zlib

import pytest
from studios import wicked_studio
from web_server import browser, fill_request, photo_bytes, problem, running


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server with little patience, whose workers can be told to crash and to hang."""
    few = {"photo_bytes": 3_000_000, "request_bytes": 50_000, "pixels": 1_000_000, "concurrency": 6}
    slow = {"timeout": 4.0, "receive_timeout": 2.0, "queue": 2, "memory": 4_000_000_000}
    with running(tmp_path_factory.mktemp("web"), wicked_studio, **few, **slow) as client:
        yield client


@pytest.fixture(autouse=True)
def still_answers(client):
    """Whatever a test does, afterwards the server does its work."""
    yield
    photo = patiently(lambda: client.post("api/photos", content=photo_bytes())).json()
    assert patiently(lambda: client.post("api/fill", json=fill_request(photo))).status_code == 200


def patiently(ask):
    """The answer, when no process has to come up for it any more."""
    deadline = time.monotonic() + 120
    while (answer := ask()).status_code == 503:
        assert time.monotonic() < deadline
    return answer


def png_of(width, height, rows):
    """A PNG that says it is so large, with so many rows of black in it."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    packed = zlib.compress(bytes(rows * (1 + 3 * width)), 9)
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def test_a_file_that_is_too_large(client):
    error = problem(client.post("api/photos", content=bytes(3_000_001)), 413, "bytes")
    assert error["limit"] == 3_000_000


def test_an_endless_file(client):
    def endless():
        for _ in range(40):
            yield bytes(100_000)

    problem(client.post("api/photos", content=endless()), 413, "bytes")


def test_a_request_that_is_too_large(client):
    answer = client.post("api/fill", content=b"x" * 50_001, headers={"Content-Type": "application/json"})
    assert problem(answer, 413, "bytes")["limit"] == 50_000


@pytest.mark.parametrize("size", [(1001, 1000), (30_000, 30_000), (100_000, 100_000)])
def test_a_picture_with_too_many_pixels(client, size):
    error = problem(client.post("api/photos", content=png_of(*size, rows=1)), 413, "too_many_pixels")
    assert error["limit"] == 1_000_000


def test_a_bomb_that_lies_about_its_size(client):
    bomb = png_of(100, 100, rows=100_000)
    assert len(bomb) < 100_000
    answer = client.post("api/photos", content=bomb)
    assert answer.status_code in (200, 422)  # what lies beyond the last row is not unpacked


def test_a_worker_that_crashes_takes_only_its_request(client):
    problem(client.post("api/photos", content=b"CRASH"), 503, "worker_died")


def test_photos_of_a_crashed_worker_are_sent_again(client):
    photo = patiently(lambda: client.post("api/photos", content=photo_bytes())).json()
    problem(client.post("api/photos", content=b"CRASH"), 503, "worker_died")
    problem(patiently(lambda: client.get(f"api/photos/{photo['id']}/preview")), 404, "photo_gone")


def test_a_worker_that_wants_all_memory(client):
    photo = patiently(lambda: client.post("api/photos", content=photo_bytes())).json()
    for greed in (b"GREED", b"OPENCV"):
        problem(client.post("api/photos", content=greed), 503, "no_memory")
    assert client.get(f"api/photos/{photo['id']}/preview").status_code == 200  # the session's other photos stay


def test_a_worker_that_hangs_is_replaced(client):
    start = time.monotonic()
    problem(client.post("api/photos", content=b"SLEEP"), 503, "timeout")
    assert time.monotonic() - start < 50  # not the 60 that it would take


def test_too_many_at_once_are_told_to_come_again(client, server):
    codes = []

    def sleeper():
        with browser(server.base_url) as another:
            codes.append(another.post("api/photos", content=b"SLEEP"))

    threads = [threading.Thread(target=sleeper) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told = {(answer.status_code, answer.json()["error"]["code"]) for answer in codes}
    assert {(503, "busy"), (503, "timeout"), (429, "too_many")} >= told
    assert {(503, "busy"), (429, "too_many")} & told
    assert all(answer.headers["retry-after"] for answer in codes if answer.json()["error"]["code"] != "timeout")


def test_the_page_answers_while_a_worker_hangs(client, server):
    def hang():
        with browser(server.base_url) as another:
            another.post("api/photos", content=b"SLEEP")

    thread = threading.Thread(target=hang)
    thread.start()
    while thread.is_alive():
        assert client.get("api/status").status_code == 200
        assert client.get("").status_code == 200
        time.sleep(0.2)


def test_a_slow_body_is_cut_off(client):
    with socket.create_connection((client.base_url.host, client.base_url.port)) as wire:
        head = "POST /api/photos HTTP/1.1\r\nHost: localhost\r\nX-Two-Face: 1\r\nContent-Length: 1000000\r\n\r\n"
        wire.sendall(head.encode() + b"x")
        wire.settimeout(60)
        answer = b""
        while part := wire.recv(65536):  # until the server closes
            answer += part
    assert b" 408 " in answer.splitlines()[0] and b'"timeout"' in answer


def test_slow_headers_are_cut_off(client):
    with socket.create_connection((client.base_url.host, client.base_url.port)) as wire:
        wire.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-")
        wire.settimeout(60)
        try:
            answer = wire.recv(65536)
        except ConnectionResetError:
            answer = b""
    assert answer == b""


def test_a_browser_that_leaves_is_not_worked_for(client):
    """One that leaves while its call waits behind a hanging one frees its place in the queue."""
    photo = photo_bytes()

    def leave():
        with socket.create_connection((client.base_url.host, client.base_url.port)) as wire:
            head = (
                f"POST /api/photos HTTP/1.1\r\nHost: localhost\r\nX-Two-Face: 1\r\nContent-Length: {len(photo)}\r\n\r\n"
            )
            wire.sendall(head.encode() + photo)
            time.sleep(0.3)

    hanging = threading.Thread(target=lambda: client.post("api/photos", content=b"SLEEP"))
    hanging.start()
    time.sleep(0.3)
    for _ in range(4):  # twice as many as may wait
        leave()
    with browser(client.base_url) as another:
        assert b'"busy"' not in another.post("api/photos", content=photo).content
    hanging.join()
