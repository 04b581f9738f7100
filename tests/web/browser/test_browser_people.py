"""People of an index in the page: grouped when asked, named, taken apart, merged; and what goes wrong."""

from functools import partial

import pytest
from searching import OWN, searching_studio
from test_browser_look import DIALOG_LOOKS, LOOKS, judge
from test_browser_search import cards, to_search
from visitor import error, file
from web_server import MARK, running


@pytest.fixture(scope="module")
def site(folder):
    index = str(folder / "my-photos")
    with running(folder, partial(searching_studio, (index,)), indexes=(index,)) as client:
        yield str(client.base_url)


@pytest.fixture
def ungrouped(visit, site):
    """A visitor at an index without groups."""
    me = visit()
    assert me.context.request.delete(f"{site}api/indexes/0/people", headers=MARK).ok
    return me


def opened(me):
    me.button("people.open").click()
    return me.page.get_by_role("dialog", name=me.words("people.open"))


def grouped(me):
    """Group the faces -> the dialog, with one person of three faces."""
    dialog = opened(me)
    me.button("people.group").click()
    dialog.locator(".person").wait_for()
    return dialog


def show(me, dialog, name):
    dialog.locator(".person", has_text=name).click()
    dialog.get_by_role("heading", level=3, name=name).wait_for()


def call(me, dialog, name):
    dialog.get_by_label(me.words("people.name")).fill(name)
    me.button("people.save").click()


def split(me, dialog, *numbers):
    """Mark faces of the person that is shown, and move them to a new one."""
    for number in numbers:
        dialog.get_by_role("checkbox").nth(number).check()
    me.button("people.move").click()


def test_nobody_is_grouped_or_named_unasked_and_a_name_is_found_again(ungrouped):
    me = ungrouped
    dialog = opened(me)
    dialog.get_by_text(me.words("people.none")).wait_for()
    assert dialog.locator("img").count() == 0
    me.button("people.group").click()
    show(me, dialog, me.words("people.number", number=1))
    assert dialog.get_by_label(me.words("people.name")).input_value() == ""
    assert dialog.locator(".face img").count() == 3
    call(me, dialog, "Anna")
    dialog.get_by_text(me.words("people.saved"), exact=True).wait_for()
    me.page.keyboard.press("Escape")
    dialog = to_search(me, OWN)
    dialog.get_by_text(me.words("find.person", person="Anna")).wait_for()
    assert cards(dialog).first.locator(".person-name").inner_text() == "Anna"


def test_faces_are_taken_apart_people_are_merged_and_what_fails_is_said_and_tried_again(ungrouped):
    me = ungrouped
    dialog = grouped(me)
    show(me, dialog, me.words("people.number", number=1))
    assert me.button("people.move").is_disabled()
    split(me, dialog, 2)
    dialog.get_by_text(me.words("people.faces.many", count=2)).wait_for()
    call(me, dialog, "Anna")
    me.button("people.back").click()
    dialog.locator(".person").nth(1).wait_for()
    show(me, dialog, me.words("people.number", number=2))
    call(me, dialog, "Anna")
    me.problem("name_taken").get_by_role("button").click()
    sure = me.page.get_by_role("dialog", name=me.words("people.merge_sure"))
    sure.get_by_text(me.words("people.merge_words", name="Anna")).wait_for()
    sure.get_by_role("button", name=me.words("people.merge")).click()
    dialog.get_by_role("heading", level=3, name="Anna").wait_for()
    dialog.get_by_text(me.words("people.faces.many", count=3)).wait_for()
    me.button("people.back").click()
    me.page.route("**/people/*", error(503, "index_busy"), times=1)
    dialog.locator(".person").click()
    me.problem("index_busy").get_by_role("button", name=me.words("action.retry")).click()
    dialog.get_by_role("heading", level=3).wait_for()
    assert me.context.request.delete(f"{me.page.url.split('#')[0]}api/indexes/0/people", headers=MARK).ok
    call(me, dialog, "Bea")
    me.problem("no_person")


def test_by_keyboard_alone(ungrouped):
    me = ungrouped
    me.tab_to("people.open")
    me.page.keyboard.press("Enter")
    dialog = me.page.get_by_role("dialog", name=me.words("people.open"))
    dialog.get_by_text(me.words("people.none")).wait_for()
    me.page.keyboard.press("Enter")  # the button to group has the focus
    dialog.locator(".person:focus").wait_for()
    me.page.keyboard.press("Enter")
    dialog.locator("h3:focus").wait_for()
    me.page.keyboard.press("Tab")
    me.page.keyboard.type("Anna")
    me.page.keyboard.press("Enter")
    dialog.get_by_text(me.words("people.saved"), exact=True).wait_for()
    me.page.keyboard.press("Escape")
    dialog.wait_for(state="detached")
    assert me.page.evaluate("document.activeElement.textContent") == me.words("people.open")


@pytest.mark.parametrize("look", DIALOG_LOOKS)
def test_the_dialog_is_accessible(visit, site, look):
    language, options = LOOKS[look]
    me = visit(language, reduced_motion="reduce", **options)
    assert me.context.request.delete(f"{site}api/indexes/0/people", headers=MARK).ok
    me.choose("photos.choose", file())
    me.page.locator(".found").wait_for()
    judge(me, look, "6-people-button")
    dialog = opened(me)
    dialog.get_by_text(me.words("people.none")).wait_for()
    judge(me, look, "6-people-none")
    me.button("people.group").click()
    show(me, dialog, me.words("people.number", number=1))
    split(me, dialog, 0)
    dialog.get_by_text(me.words("people.faces.many", count=2)).wait_for()
    call(me, dialog, "Anna María")
    dialog.get_by_text(me.words("people.saved"), exact=True).wait_for()
    dialog.get_by_role("checkbox").first.check()
    judge(me, look, "6-people-one")
    me.button("people.back").click()
    dialog.get_by_role("checkbox").nth(1).check()
    me.page.evaluate("Promise.all([...document.querySelectorAll('dialog img')].map((image) => image.decode()))")
    judge(me, look, "6-people-all")
    inside = "[...document.querySelectorAll('dialog, dialog *')].every((e) => e.scrollWidth <= innerWidth)"
    assert me.page.evaluate(inside)
