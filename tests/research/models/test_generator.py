import pytest
import torch

from twoface.core.errors import InputError
from twoface.core.frame import SIZE
from twoface.research.models.blocks import BinomialFilter, SharpBinomialFilter
from twoface.research.models.build import build_generator
from twoface.research.models.generator import TransferGenerator, transfer, warp

TINY = (8, 8, 8, 8)
SHIPPED = (48, 96, 160, 192)


def inputs(batch=2, seed=0):
    rng = torch.Generator().manual_seed(seed)
    image, reference = torch.rand(2, batch, 3, SIZE, SIZE, generator=rng)
    mask = torch.zeros(batch, 1, SIZE, SIZE)
    mask[:, :, 32:96, 32:96] = 1
    return image, mask, reference, torch.ones(batch, 1, SIZE, SIZE)


def shake(generator):
    """Give the layers that start at zero something to say."""
    torch.manual_seed(1)
    for parameter in generator.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.05)
    return generator


def test_shapes_and_ranges():
    out = shake(TransferGenerator(TINY))(*inputs())
    shapes = {name: tuple(value.shape[1:]) for name, value in out.items()}
    assert shapes == {
        "fill": (3, 128, 128),
        "synthesis": (3, 128, 128),
        "flow": (2, 32, 32),
        "gain": (3, 32, 32),
        "offset": (3, 128, 128),
        "weight": (1, 32, 32),
    }
    assert out["fill"].min() >= 0 and out["fill"].max() <= 1
    assert out["weight"].min() > 0 and out["weight"].max() < 1 and out["gain"].min() > 0


def test_budget_of_the_shipped_size():
    generator = TransferGenerator(SHIPPED)
    assert sum(p.numel() for p in generator.parameters()) <= 6e6
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter, torch.no_grad():
        generator(*inputs(1))
    assert counter.get_total_flops() / 2 <= 3.5e9  # two operations each multiply-accumulate


def test_a_filtered_picture_has_no_checkerboard():
    x = torch.arange(16.0).expand(2, 3, 16, 16) / 16
    comb = torch.tensor([1.0, -1.0]).repeat(8)
    inside = (slice(None), slice(None), slice(1, -1), slice(1, -1))
    for alternating in (comb, comb[:, None], comb * comb[:, None]):
        assert torch.allclose(BinomialFilter(3)(x + alternating)[inside], x[inside], atol=1e-6)
    assert not list(BinomialFilter(3).parameters()) and not BinomialFilter(3).state_dict()  # older weights fit


def test_a_sharp_filter_takes_stripes_and_leaves_detail():
    """Slopes and most of a wave of six pixels stay, where the binomial filter takes a quarter of it."""
    x = torch.arange(16.0).expand(2, 3, 16, 16) / 16
    comb = torch.tensor([1.0, -1.0]).repeat(8)
    part = slice(2, -2)
    for alternating in (comb, comb[:, None], comb * comb[:, None]):
        filtered = SharpBinomialFilter(3)(x + alternating)[..., part, part]
        assert torch.allclose(filtered, x[..., part, part], atol=1e-6)
    wave = torch.sin(torch.arange(36.0) * torch.pi / 3).expand(1, 3, 36, 36)
    left = [
        filter(3)(wave)[..., 18, 2:-2].norm() / wave[..., 18, 2:-2].norm()
        for filter in (SharpBinomialFilter, BinomialFilter)
    ]
    assert left[0] > 0.93 > 0.76 > left[1]
    flat = torch.full((1, 3, 8, 8), 0.7)
    assert torch.allclose(SharpBinomialFilter(3)(flat), flat, atol=1e-6)  # to the border, which a hole may reach
    assert not SharpBinomialFilter(3).state_dict()  # older weights fit


def test_neither_picture_nor_correction_has_stripes():
    """Of two phases of the last shuffles, one much stronger: what it draws of it, without and with a reference."""
    generator = shake(TransferGenerator(TINY))
    with torch.no_grad():
        for shuffled in (generator.up128, generator.correct[4]):
            shuffled.weight[1::2] *= 4
            shuffled.bias[1::2] += 1
        flat = torch.full((1, 3, SIZE, SIZE), 0.5)
        for reference in (flat * 0, flat):
            drawn = generator(flat, torch.ones(1, 1, SIZE, SIZE), reference, torch.ones_like(flat[:, :1]))["fill"]
            middle = drawn[0, :, 48:80, 48:80]
            assert (middle[..., 1:] - middle[..., :-1]).abs().max() < 2e-3


def test_the_synthesis_has_no_checkerboard_of_four_pixels():
    """Of two phases of the shuffle from 32 to 64 pixels, one twice as strong: what the synthesis shows of it."""
    generator = shake(TransferGenerator(TINY))
    with torch.no_grad():
        generator.up64.weight[1::2] *= 4
        generator.up64.bias[1::2] += 1
        flat = torch.full((1, 3, SIZE, SIZE), 0.5)
        drawn = generator(flat, torch.ones(1, 1, SIZE, SIZE), flat * 0, flat[:, :1] * 0)["synthesis"]
    middle = drawn[0, :, 48:80, 48:80]
    assert (middle[..., 2:] - middle[..., :-2]).abs().max() < 1e-3  # what the last shuffle makes has a period of 2


def test_what_is_inside_the_hole_does_not_matter():
    generator, (image, mask, reference, trust) = shake(TransferGenerator(TINY)), inputs()
    one = generator(image, mask, reference, trust)["fill"]
    other = generator(image * (1 - mask) + 0.3 * mask, mask, reference, trust)["fill"]
    assert torch.equal(one, other)


def test_the_reference_matters_and_black_means_none():
    generator, (image, mask, reference, trust) = shake(TransferGenerator(TINY)), inputs()
    with_reference, without = (generator(image, mask, r, trust) for r in (reference, torch.zeros_like(reference)))
    assert not torch.allclose(with_reference["fill"], without["fill"], atol=1e-3)
    assert without["weight"].max() == 0
    assert torch.equal(without["fill"], without["synthesis"])


def test_what_is_not_trusted_is_not_moved():
    generator, (image, mask, reference, trust) = shake(TransferGenerator(TINY)), inputs()
    trust[:, :, :64] = 0
    weight = generator(image, mask, reference, trust)["weight"]
    assert weight[:, :, :16].max() == 0 and weight[:, :, 16:].min() > 0


def test_a_batch_does_not_mix():
    generator, (image, mask, reference, trust) = shake(TransferGenerator(TINY)), inputs()
    reference[1] = 0
    both = generator(image, mask, reference, trust)["fill"]
    alone = generator(image[1:], mask[1:], reference[1:], trust[1:])["fill"]
    assert torch.allclose(both[1:], alone, atol=1e-5)


def test_every_parameter_gets_a_gradient():
    generator, (image, mask, reference, trust) = shake(TransferGenerator(TINY)), inputs()
    generator(image, mask, reference, trust)["fill"].sum().backward()
    missing = [name for name, p in generator.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert missing == []


def test_warp_takes_the_reference_from_p_plus_flow():
    picture = torch.zeros(1, 3, 16, 16)
    picture[:, :, 5, 9] = 1
    flow = torch.zeros(1, 2, 16, 16)
    flow[:, 0], flow[:, 1] = 4, 2  # dx, dy
    moved = warp(picture, flow)
    assert moved[0, 0, 3, 5] == pytest.approx(1, abs=1e-4) and moved.sum() == pytest.approx(3, abs=1e-3)


def test_transfer_by_hand():
    reference, synthesis = torch.full((1, 3, 128, 128), 0.4), torch.full((1, 3, 128, 128), 0.9)
    field, offset = torch.ones(1, 3, 32, 32), torch.full_like(reference, 0.1)
    fill = transfer(reference, synthesis, torch.zeros(1, 2, 32, 32), 1.5 * field, offset, 0.25 * field[:, :1])
    assert torch.allclose(fill, torch.full_like(fill, 0.25 * (1.5 * 0.4 + 0.1) + 0.75 * 0.9))


def test_synthesis_alone_never_shows_the_reference():
    out = shake(build_generator("synthesis", TINY))(*inputs())
    assert out["weight"].max() == 0 and torch.equal(out["fill"], out["synthesis"])


def test_unknown_generator():
    with pytest.raises(InputError, match="synthesis, transfer"):
        build_generator("nobody", TINY)
