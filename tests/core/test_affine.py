import numpy as np
import pytest

from twoface.core.affine import apply, invert, scale_of, similarity_transform
from twoface.core.errors import InputError
from twoface.core.faces import TEMPLATE


def similarity_matrix(angle, scale, shift):
    turn = scale * np.exp(1j * np.radians(angle))
    return np.array([[turn.real, -turn.imag, shift[0]], [turn.imag, turn.real, shift[1]]])


def test_a_similarity_is_recovered():
    transform = similarity_matrix(25, 0.4, (-30, 12))
    points = apply(invert(transform), TEMPLATE * 128)
    assert np.allclose(similarity_transform(points, TEMPLATE * 128), transform)
    assert scale_of(transform) == pytest.approx(0.4)


def test_a_similarity_never_reflects_and_a_point_has_none():
    mirrored = TEMPLATE * (-100, 100)
    assert np.linalg.det(similarity_transform(mirrored, TEMPLATE)[:, :2]) > 0
    with pytest.raises(InputError):
        similarity_transform(np.ones((5, 2)), TEMPLATE)
