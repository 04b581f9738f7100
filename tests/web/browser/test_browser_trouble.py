"""Every error says in the page, where it happens, what to do; and nothing is lost."""

from contextlib import ExitStack
from functools import partial

import cv2
import numpy as np
import pytest
from test_web_backend import backend, remote_studio
from visitor import error, file
from web_server import MARK, running

LARGE = {**file("large.png"), "buffer": bytes(400_001)}
WIDE = {**file("wide.png"), "buffer": cv2.imencode(".png", np.zeros((5100, 10_000), np.uint8))[1].tobytes()}
TEXT = {"name": "letter.txt.png", "mimeType": "image/png", "buffer": b"Dear grandmother, " * 20}


def test_files_that_cannot_be_used(visit):
    me = visit()
    half = {**file(), "buffer": file()["buffer"][: len(file()["buffer"]) // 2]}
    tag = "<img src=x onerror=alert(1)>.png"
    for given, code in ((TEXT, "not_a_picture"), (LARGE, "bytes"), (half, "damaged")):
        me.choose("photos.choose", given)
        me.problem(code)
        me.choose("photos.replace", file(tag))
        me.page.locator(".found").wait_for()
        assert me.page.locator("img[src=x]").count() == 0, "what a file calls itself is only text"
        me.button("photos.remove", name=tag).click()
        me.page.locator(".photo-card").wait_for(state="detached")
    me.choose("photos.choose", WIDE)
    assert "50 mill" in me.problem("too_many_pixels").inner_text()


def test_how_many_pixels_are_too_many_is_told_in_spanish(visit):
    me = visit("es")
    me.choose("photos.choose", WIDE)
    assert "50 mill" in me.problem("too_many_pixels").inner_text()


def test_a_camera_that_is_refused_steps_that_are_not_ready_and_masks_that_cannot_be_used(visit):
    me = visit()
    me.button("photos.camera").first.click()
    me.page.get_by_text(me.words("error.camera_refused")).wait_for()
    me.page.keyboard.press("Escape")
    me.button("photos.next").click()
    me.sees("photos.need_photo")
    me.choose("photos.choose", file())
    me.page.locator(".found").wait_for()
    me.button("photos.next").click()
    me.sees("photos.need_reference")
    me.page.get_by_role("switch").uncheck()
    me.go("face")
    me.go("hole")
    me.button("hole.next").click()
    me.sees("hole.need")
    me.heading("hole")
    assert me.button("find.open").count() == 0, "this server has no index"
    me.choose("hole.upload", TEXT)
    me.problem("not_a_picture")
    me.choose("hole.upload", file())
    me.problem("not_square")


def test_fills_that_fail_and_second_tries(visit):
    """What a connection that is cut, or a proxy, answers is not called offline."""
    me = visit()
    me.to_hole(file())
    for part, code, answer in (
        ("nose", "busy", error(429, "busy")),
        ("mouth", "timeout", error(503, "timeout")),
        ("eyes", "worker_died", error(500, "worker_died")),
        ("lower", "interrupted", lambda route: route.abort()),
        ("left", "stranger", lambda route: route.fulfill(status=502, body="<h1>Bad gateway</h1>")),
        ("right", "cancelled", lambda route: None),  # never answered
    ):
        me.preset(part)
        me.page.route("**/api/fill", answer, times=1)
        me.button("hole.next").click()
        if code == "cancelled":
            me.button("action.cancel").click()
        again = "result.again" if code == "cancelled" else "action.retry"
        me.problem(code).get_by_role("button", name=me.words(again)).click()
        me.filled()
        me.button("result.change").click()
        me.heading("hole")


def test_photos_that_the_server_forgot_are_sent_again_and_a_server_that_does_not_answer(visit):
    me = visit()
    sent = []
    me.page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    with me.page.expect_response("**/api/photos?*") as answer:
        me.choose("photos.choose", file())
    me.page.get_by_role("switch").uncheck()
    me.page.locator(".found").wait_for()
    photo = answer.value.json()["id"]
    assert me.context.request.delete(f"{me.page.url.split('#')[0]}api/photos/{photo}", headers=MARK).ok
    me.go("face")
    me.go("hole")
    me.preset("eyes")
    me.go("result")
    me.filled()
    assert sum("/api/photos" in url for url in sent) == 2
    assert me.page.get_by_role("alert").count() == 0
    me.button("result.change").click()
    me.heading("hole")
    me.preset("nose")
    me.page.route("**/api/**", lambda route: route.abort())
    me.button("hole.next").click()
    me.problem("offline")
    me.page.unroute("**/api/**")
    me.sees("result.not_filled")
    me.button("action.retry").click()
    me.filled()
    me.sees("result.title")


@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_a_backend_that_dies_in_the_middle_and_comes_back(visit, tmp_path, scheme):
    with ExitStack() as first:
        served = first.enter_context(backend(tmp_path))
        ports = {"port": served.port, "grpc_port": served.grpc_port}
        url = f"{scheme}://127.0.0.1:{ports['port' if scheme == 'http' else 'grpc_port']}"
        options = {"backend": url, "backend_key": tmp_path / "keys"}
        with running(tmp_path, partial(remote_studio, url), **options) as client:
            me = visit(url=str(client.base_url))
            me.to_result(file())
            first.close()  # it dies
            me.button("result.change").click()
            me.heading("hole")
            me.preset("mouth")
            me.button("hole.next").click()
            me.problem("backend_away")
            with backend(tmp_path, **ports):
                me.retry_until_filled()
