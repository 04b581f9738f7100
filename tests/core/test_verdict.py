from twoface.core.verdict import NO_REFERENCE, TEXTS, TONES, Identity

EYES = {"threshold": 0.468, "strangers_warned": 0.44}
CENTER = {"threshold": 0.535, "strangers_warned": 0.12}


def judged(visible, result, hole=EYES):
    same = visible >= hole["threshold"]
    return Identity(
        similarity_visible_reference=visible, similarity_result_reference=result, same_person=same, **hole
    ).verdict


def test_each_word_and_its_tone():
    assert judged(0.75, 0.8).word == "very_likely" and judged(0.75, 0.8).tone == "good"
    assert judged(0.6, 0.6).word == "likely"
    assert judged(0.5, 0.5).word == "unsure" and judged(0.5, 0.5).tone == "plain"
    assert judged(0.4, 0.8).word == "two_people" and judged(0.4, 0.8).tone == "warn"
    assert set(TEXTS) == set(TONES) and all(judged(0.5, r / 10).text for r in range(10))


def test_a_probability_by_hand_to_three_digits():
    """16.9 of .1 above the threshold, 6.6 of .6, 1.9 of .44, less 7: log-odds of -0.514."""
    assert judged(0.568, 0.6).probability == 0.374


def test_a_result_that_is_hardly_alike_is_warned_of_though_the_visible_part_passes():
    assert judged(0.55, 0.26).word == "two_people"


def test_the_blinder_the_check_the_less_the_same_figures_say():
    margin = 0.1
    seeing, blind = (judged(hole["threshold"] + margin, 0.6, hole).probability for hole in (EYES, CENTER))
    assert blind < seeing


def test_our_sample_of_a_wrong_reference_does_not_pass():
    assert judged(0.49, 0.48).tone != "good"


def test_without_a_reference_nothing_is_judged():
    assert NO_REFERENCE.word == "none" and NO_REFERENCE.probability is None
