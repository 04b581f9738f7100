from dataclasses import replace

import cv2
import numpy as np
import pytest

from twoface.core.choice import Worth
from twoface.core.mesh import template_mesh
from twoface.core.outlook import TEXTS, Outlook, outlook
from twoface.core.parts import named_hole

MESH = template_mesh()
EYES = named_hole("eyes")
BEST = Worth(shown=1.0, pose=1.0, sharp=1.0, clear=1.0)


def turned(degrees):
    mesh, yaw = MESH.copy(), np.radians(degrees)
    x, z = MESH[:, 0] - 64, MESH[:, 2]
    mesh[:, 0], mesh[:, 2] = 64 + x * np.cos(yaw) + z * np.sin(yaw), z * np.cos(yaw) - x * np.sin(yaw)
    return mesh


def test_a_small_hole_in_an_upright_face_is_good():
    found = outlook(MESH, EYES, 0, BEST, False, False)
    assert found == Outlook("good", ()) and found.text == "likely to look natural"


@pytest.mark.parametrize(
    ("reason", "changed"),
    [
        ("beyond", {"unknown": cv2.circle(np.zeros((128, 128), np.uint8), (10, 10), 35, 1, -1).view(bool)}),
        ("beyond", {"continued": 900.0}),
        ("hidden", {"unknown": named_hole("face")}),
        ("turned", {"points": turned(25)}),
        ("apart", {"worth": replace(BEST, pose=0.5)}),
        ("covered", {"worth": replace(BEST, clear=0.2)}),
        ("invented", {"worth": None}),
        ("small", {"small": True}),
        ("partly", {"partly": True}),
    ],
)
def test_each_reason_alone(reason, changed):
    given = {
        "points": MESH,
        "unknown": EYES,
        "continued": 0.0,
        "worth": BEST,
        "small": False,
        "partly": False,
    } | changed
    found = outlook(**given)
    assert found == Outlook("fair", (reason,)) and TEXTS[reason] in found.text


def test_a_little_beside_the_face_is_no_reason():
    assert outlook(MESH, EYES, 600, BEST, False, False).word == "good"


def test_reasons_add_up():
    found = outlook(turned(-25), named_hole("face"), 0, None, True, False)
    assert found.word == "doubtful" and found.reasons == ("beyond", "hidden", "turned", "invented", "small")
