import torch

from twoface.models.discriminators import Discriminators, PatchDiscriminator


def test_weights_follow_the_hole_and_add_up_to_one():
    judge, picture = PatchDiscriminator(4), torch.rand(2, 3, 64, 64)
    mask = torch.zeros(2, 1, 64, 64)
    mask[0, :, 0:8, 0:16] = 1
    mask[1, :, 0:8, 0:8] = 0.5
    logits, weights = judge(picture, mask, picture)
    assert logits.shape == weights.shape == (2, 65)  # 8x8 places and the whole
    assert torch.allclose(weights.sum(1), torch.ones(2))
    assert weights[0, :3].tolist() == [0.25, 0.25, 0] and weights[1, :2].tolist() == [0.5, 0]
    assert weights[0, -1] == 0.5


def test_both_judges_see_picture_mask_and_reference():
    judges, inputs = Discriminators(4), [torch.rand(1, c, 64, 64, requires_grad=True) for c in (3, 1, 3)]
    (local, _), (whole, _) = judges(inputs, inputs)
    for logits in (local, whole):
        gradients = torch.autograd.grad(logits.sum(), inputs, retain_graph=True)
        assert all(gradient.abs().sum() > 0 for gradient in gradients)
