import torch

from twoface.research.models.build import build_generator
from twoface.research.training import losses


def test_shape_and_budget_of_the_shipped_size():
    network = build_generator("occlusion", (16, 32, 64, 96)).eval()
    out = network(torch.rand(2, 3, 128, 128))
    assert out["covered"].shape == (2, 1, 128, 128) and 0 <= out["covered"].min() <= out["covered"].max() <= 1
    assert sum(p.numel() for p in network.parameters()) <= 1e6


def test_the_loss_is_low_for_the_truth_and_silent_where_nobody_knows():
    covered = torch.zeros(2, 16, 16, dtype=torch.uint8)
    covered[0, 4:12, 4:12] = 1
    right = (covered[:, None].float() * 2 - 1) * 8
    assert losses.occlusion(right, covered) < 0.05 < 1 < losses.occlusion(-right, covered)
    unknown = covered.clone()
    unknown[:, :8] = 255
    spoiled = right.clone()
    spoiled[:, :, :8] *= -1
    assert losses.occlusion(spoiled, unknown) == losses.occlusion(right, unknown)
