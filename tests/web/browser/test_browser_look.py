"""What people with other eyes and other screens get: axe at every step, and pictures of each in out/screens/."""

from pathlib import Path

import pytest
from visitor import DESKTOP, file

AXE = (Path(__file__).parent / "vendor" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")
SCREENS = Path(__file__).parents[3] / "out" / "screens"
LAPTOP = {"width": 1366, "height": 768}
PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}
LOOKS = {
    "desktop-light-en": ("en", {"viewport": DESKTOP, "color_scheme": "light"}),
    "laptop-dark-es": ("es", {"viewport": LAPTOP, "color_scheme": "dark"}),
    "phone-light-es": ("es", PHONE | {"color_scheme": "light"}),
    "phone-dark-en": ("en", PHONE | {"color_scheme": "dark"}),
}
DIALOG_LOOKS = ("laptop-dark-es", "phone-light-es")  # both widths, both schemes, and the longer words


@pytest.mark.parametrize("look", LOOKS)
def test_every_step_is_accessible(visit, look):
    language, options = LOOKS[look]
    me = visit(language, reduced_motion="reduce", **options)
    judge(me, look, "1-photos-empty")
    me.bring(file(), file("ref.png", seed=1))
    judge(me, look, "1-photos")
    me.go("face")
    judge(me, look, "2-face")
    me.go("hole")
    me.preset("eyes")
    above_the_bar(me, options, "#brush-size")
    judge(me, look, "3-hole")
    me.go("result")
    me.filled()
    above_the_bar(me, options, ".follows")
    judge(me, look, "4-result")
    me.button("result.over").click()
    me.page.get_by_role("dialog").wait_for()
    judge(me, look, "5-start-over")


def above_the_bar(me, options, tools):
    """On a laptop's screen, that is, where no page needs to be scrolled for its tools."""
    if options["viewport"] == LAPTOP:
        place, bar = (me.page.locator(each).bounding_box() for each in (tools, ".actions"))
        assert place["y"] + place["height"] <= bar["y"]


@pytest.mark.parametrize("language", ["en", "es"])
def test_on_a_phone_what_was_not_found_is_told_above_the_bar(visit, language):
    me = visit(language, **PHONE | {"viewport": {"width": 390, "height": 844}})
    me.bring(file())
    me.go("face")
    me.go("hole")
    me.button("hole.auto").click()
    problem = me.problem("nothing_found")
    assert problem.get_by_role("button").count() == 0 and me.covered() == 0
    told = problem.bounding_box()
    SCREENS.mkdir(parents=True, exist_ok=True)
    me.page.screenshot(path=SCREENS / f"3-nothing-found-{language}.png")
    assert told["y"] > 0 and told["y"] + told["height"] <= me.page.locator(".actions").bounding_box()["y"]


def judge(me, look, step):
    """No finding of axe that is serious or critical; and a screenshot."""
    SCREENS.mkdir(parents=True, exist_ok=True)
    me.page.screenshot(path=SCREENS / f"{step}-{look}.png", full_page=True)
    me.page.evaluate(f"() => {{ {AXE} }}")
    findings = me.page.evaluate("async () => (await axe.run()).violations")
    serious = [
        (finding["id"], [node["target"] for node in finding["nodes"]])
        for finding in findings
        if finding["impact"] in ("serious", "critical")
    ]
    assert serious == [], f"{look}, {step}"
