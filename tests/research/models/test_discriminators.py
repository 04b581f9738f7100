import torch

from twoface.research.models.discriminators import PatchDiscriminator, PatchDiscriminators, window_corners


def test_weights_follow_the_hole_and_add_up_to_one():
    judge, picture = PatchDiscriminator(4), torch.rand(2, 4, 64, 64)
    mask = picture[:, 3:]
    mask.zero_()
    mask[0, :, 0:8, 0:16] = 1
    mask[1, :, 0:8, 0:8] = 0.5
    logits, weights = judge(picture, picture)
    assert logits.shape == weights.shape == (2, 65)  # 8x8 places and the whole
    assert torch.allclose(weights.sum(1), torch.ones(2))
    assert weights[0, :3].tolist() == [0.25, 0.25, 0] and weights[1, :2].tolist() == [0.5, 0]
    assert weights[0, -1] == 0.5


def test_both_judges_see_picture_mask_and_reference():
    judges, names = PatchDiscriminators(72, 4), ("adv_local", "adv_global")
    inputs = [torch.rand(1, c, 128, 128, requires_grad=True) for c in (3, 1, 3)]
    picture, mask, reference = inputs
    (judged,) = judges(judges.look(names, reference, mask), judges.look(names, picture, mask))
    assert list(judged) == list(names)
    for logits, _ in judged.values():
        gradients = torch.autograd.grad(logits.sum(), inputs, retain_graph=True)
        assert all(gradient.abs().sum() > 0 for gradient in gradients)


def test_what_each_judge_is_given():
    judges, picture, mask = PatchDiscriminators(72, 4), torch.rand(1, 3, 128, 128), torch.zeros(1, 1, 128, 128)
    mask[:, :, 32:96, 40:104] = 1
    seen = judges.look(("adv_local", "adv_global"), picture, mask)
    assert torch.equal(seen["adv_local"][:, :3], picture[:, :, 28:100, 36:108])
    assert torch.equal(seen["adv_local"][:, 3:], mask[:, :, 28:100, 36:108])
    assert seen["adv_global"].shape == (1, 4, 64, 64)
    assert list(judges.look(("adv_global",), picture, mask)) == ["adv_global"]


def test_window_is_centred_on_the_hole_and_stays_inside():
    mask = torch.zeros(3, 1, 128, 128)
    mask[0, :, 32:96, 32:96] = 1
    mask[1, :, 0:10, 118:128] = 1
    mask[2, :, 0:128, 64:128] = 1
    assert window_corners(mask, 72).tolist() == [[28, 28], [0, 56], [28, 56]]
