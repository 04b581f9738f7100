"""A reference found in an index: searched, picked, filled with; and what a person sees when that does not go well."""

import shutil
from functools import partial

import pytest
from searching import ALIKE, OWN, STRANGER, make_index, searching_studio
from test_browser_look import DIALOG_LOOKS, LOOKS, judge
from visitor import error, file
from web_server import MARK, running


@pytest.fixture(scope="module")
def site(folder):
    """A server with an index, which takes at most two references."""
    index = str(folder / "my-photos")
    with running(folder, partial(searching_studio, (index,)), indexes=(index,), references=2) as client:
        yield str(client.base_url)


def to_hole(me, seed=OWN):
    """A photo without a reference."""
    me.choose("photos.choose", file(seed=seed))
    me.page.locator(".found").wait_for()
    me.sees("photos.find_later")
    me.go("face")
    me.go("hole")


def search(me, part="eyes"):
    """Mark a part of the face, and open the dialog -> the dialog."""
    me.preset(part)
    me.button("find.open").click()
    return me.page.get_by_role("dialog", name=me.words("find.open"))


def to_search(me, seed=OWN):
    to_hole(me, seed)
    return search(me)


def cards(dialog):
    return dialog.get_by_role("listitem")


def pick(me, card):
    card.get_by_role("button", name=me.words("find.use")).click()
    card.locator("button[aria-pressed=true]").wait_for()


def done(me):
    me.button("find.done").click()
    me.page.locator("dialog").wait_for(state="detached")


def test_search_pick_and_fill_after_a_reload_when_the_server_has_forgotten_it(visit):
    me = visit()
    dialog = to_search(me)
    dialog.get_by_text(me.words("find.copies.one")).wait_for()
    dialog.locator(".verdict-title", has_text=me.words("find.same")).wait_for()
    best = cards(dialog).first
    best.get_by_role("img").wait_for()
    assert cards(dialog).count() == 2 and "own" in best.inner_text()
    for words in (me.words("find.same"), me.words("find.chance", chance="> 99%")):
        best.get_by_text(words, exact=True).wait_for()
    best.locator("summary").click()
    for part in ("visible", "pose", "expression", "sharp", "size"):
        best.get_by_text(me.words(f"find.part.{part}"), exact=True).wait_for()
    with me.page.expect_response("**/api/searches/*/*") as answer:
        pick(me, best)
    best.get_by_text(me.words("face.reference", index=1), exact=True).wait_for()
    done(me)
    assert me.page.evaluate("document.activeElement.textContent") == me.words("find.open")
    me.page.get_by_label(me.words("hole.seen_reference", index=1)).wait_for()
    assert me.page.get_by_text(me.words("find.doubt.maybe")).count() == 0
    photo = answer.value.json()["id"]
    assert me.context.request.delete(f"{me.page.url.split('#')[0]}api/photos/{photo}", headers=MARK).ok
    me.page.reload()
    me.heading("hole")
    me.marked()
    me.page.get_by_label(me.words("hole.seen_reference", index=1)).wait_for()
    me.go("result")
    me.filled()
    assert me.page.get_by_alt_text(me.words("result.reference_alt")).count() == 1
    me.page.get_by_role("alert").wait_for(state="detached")
    me.page.get_by_role("link", name="Two-Face").click()
    me.heading("photos")
    assert me.page.locator(".photo-card").count() == 2


def test_one_who_is_only_alike_is_marked_wherever_it_is_seen(visit):
    me = visit()
    dialog = to_search(me, ALIKE)
    dialog.locator(".verdict.warn", has_text=me.words("find.maybe")).wait_for()
    card = cards(dialog).first
    assert card.locator(".badge").inner_text() == me.words("find.unsure")
    pick(me, card)
    card.get_by_text(me.words("find.doubt.maybe")).wait_for()
    done(me)
    me.sees("find.doubt.maybe")
    me.go("result")
    me.filled()
    assert me.page.get_by_alt_text(me.words("result.reference_alt")).count() == 1
    me.sees("find.doubt.maybe")
    me.page.get_by_role("link", name="Two-Face").click()
    me.heading("photos")
    me.sees("find.doubt.maybe")


def test_who_is_nobody_is_shown_only_for_the_asking(visit):
    me = visit()
    dialog = to_search(me, STRANGER)
    dialog.locator(".verdict-title", has_text=me.words("find.nobody")).wait_for()
    assert cards(dialog).count() == 0
    me.button("find.anyway").click()
    assert cards(dialog).count() == 5
    assert cards(dialog).first.locator(".badge").inner_text() == me.words("find.hardly")
    pick(me, cards(dialog).first)
    cards(dialog).first.get_by_text(me.words("find.doubt.nobody")).wait_for()
    assert dialog.locator(".chosen").count() == 1


def test_the_hole_comes_first_only_another_is_searched_for_again_and_what_is_too_many_is_put_back(visit):
    me = visit()
    asked = []
    me.page.on("request", lambda request: asked.append(request.url) if request.url.endswith("/api/search") else None)
    to_hole(me)
    me.button("find.open").click()
    me.sees("hole.need")
    assert me.page.get_by_role("dialog").count() == 0
    dialog = search(me)
    cards(dialog).first.wait_for()
    done(me)
    me.button("find.open").click()
    cards(dialog).first.get_by_role("img").wait_for()
    assert len(asked) == 1
    done(me)
    dialog = search(me, "mouth")
    cards(dialog).first.wait_for()
    assert len(asked) == 2
    for n in range(2):
        pick(me, cards(dialog).nth(n))
    me.button("find.anyway").click()
    third = cards(dialog).nth(2)
    third.get_by_role("button", name=me.words("find.use")).click()
    third.get_by_text(me.words("find.full", most=2)).wait_for()
    cards(dialog).first.get_by_role("button").click()
    cards(dialog).nth(1).get_by_text(me.words("face.reference", index=1)).wait_for()
    pick(me, third)
    done(me)
    me.page.locator("canvas.seen").nth(2).wait_for()


def test_searches_that_fail_or_are_cancelled_and_second_tries(visit):
    me = visit()
    to_hole(me)
    for part, code, answer in (
        ("eyes", "busy", error(429, "busy")),
        ("nose", "timeout", error(503, "timeout")),
        ("mouth", "search_failed", error(500, "search_failed")),
        ("lower", "cancelled", lambda route: None),  # never answered
    ):
        me.page.route("**/api/search", answer, times=1)
        dialog = search(me, part)
        if code == "cancelled":
            me.button("action.cancel").click()
        me.problem(code).get_by_role("button", name=me.words("find.again")).click()
        cards(dialog).first.wait_for()
        done(me)


def test_a_photo_that_has_gone_since_and_a_search_that_the_server_forgot(visit, folder):
    me = visit()
    with me.page.expect_response("**/api/photos?*") as answer:
        dialog = to_search(me)
    cards(dialog).first.get_by_role("img").wait_for()
    name = cards(dialog).first.locator(".photo-name").first.inner_text()
    kept = shutil.move(folder / "photos" / "own" / name, folder / "away.png")
    try:
        cards(dialog).first.get_by_role("button").click()
        me.problem("photo_missing")
    finally:
        shutil.move(kept, folder / "photos" / "own" / name)
    photo = answer.value.json()["id"]
    assert me.context.request.delete(f"{me.page.url.split('#')[0]}api/photos/{photo}", headers=MARK).ok
    cards(dialog).first.get_by_role("button", name=me.words("find.use")).click()
    me.problem("search_gone").get_by_role("button", name=me.words("find.again")).click()
    pick(me, cards(dialog).first)


def test_among_several_indexes_one_is_chosen(visit, folder, tmp_path):
    indexes = (str(folder / "my-photos"), str(make_index(tmp_path)))
    with running(tmp_path, partial(searching_studio, indexes), indexes=indexes) as client:
        me = visit(url=str(client.base_url))
        dialog = to_search(me)
        me.page.get_by_label(me.words("find.index")).select_option("my-photos (2)")
        with me.page.expect_request("**/api/search") as asked:
            me.button("find.search").click()
        assert asked.value.post_data_json["index"] == 1
        pick(me, cards(dialog).first)


def test_by_keyboard_alone(visit):
    me = visit()
    dialog = to_search(me)
    cards(dialog).first.wait_for()
    name = cards(dialog).first.locator(".photo-name").first.inner_text()
    for _ in range(20):
        me.page.keyboard.press("Tab")
        if me.page.evaluate("document.activeElement.getAttribute('aria-label')") == f"{me.words('find.use')}: {name}":
            break
    me.page.keyboard.press("Enter")
    cards(dialog).first.get_by_text(me.words("face.reference", index=1)).wait_for()
    me.page.keyboard.press("Escape")
    me.page.locator("dialog").wait_for(state="detached")
    me.page.get_by_label(me.words("hole.seen_reference", index=1)).wait_for()


@pytest.mark.parametrize("look", DIALOG_LOOKS)
def test_the_dialog_is_accessible(visit, look):
    language, options = LOOKS[look]
    me = visit(language, reduced_motion="reduce", **options)
    dialog = to_search(me, ALIKE)
    cards(dialog).first.get_by_role("img").wait_for()
    me.button("find.anyway").click()
    pick(me, cards(dialog).first)
    cards(dialog).nth(1).locator("summary").click()
    judge(me, look, "3-hole-found")
    inside = "[...document.querySelectorAll('dialog, dialog *')].every((e) => e.scrollWidth <= innerWidth)"
    assert me.page.evaluate(inside)
    assert me.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
