"""Shapes of every layer and parameter counts of the thesis' networks, as `docs/experiments.md` tells them."""

import pytest
import torch

from twoface.research.models import thesis_generators
from twoface.research.models.build import THESIS, build_discriminators, build_generator
from twoface.research.models.thesis_generators import ChannelwiseLinear, PatchGenerator
from twoface.research.models.vgg import Trunk

SIZES = {name: (28, 7, 1) if name.startswith("mnist") else (128, 32, 3) for name in THESIS}  # picture, hole, channels
TRUNK, FACENET = 1_735_488, 23_467_824  # weights of VGG16 up to pool3, and of FaceNet


class Vgg(torch.nn.Module):
    """VGG16's shapes."""

    def forward(self, picture, names):
        stride, channels = {"pool3": (8, 256), "conv4_3": (8, 512), "pool5": (32, 512)}[names[0]]
        return [torch.nn.functional.avg_pool2d(picture.mean(1, keepdim=True), stride).expand(-1, channels, -1, -1)]


def networks(name):
    torch.manual_seed(0)
    size, hole, _ = SIZES[name]
    return build_generator(name, (), size, hole, Vgg()), build_discriminators(name, 72, size, hole, Vgg())


def pictures(name, batch=2):
    size, hole, channels = SIZES[name]
    image, reference = torch.rand(2, batch, channels, size, size, generator=torch.Generator().manual_seed(0))
    mask = torch.zeros(batch, 1, size, size)
    start = (size - hole) // 2
    mask[:, :, start : start + hole, start : start + hole] = 1
    return image, mask, reference


def trained(module):
    return sum(p.numel() for p in module.parameters())


def shapes(module, kinds, call):
    """What the layers of these kinds give, as (C, H, W), in the order in which they are called."""
    found = []
    hooks = [
        layer.register_forward_hook(lambda *a: found.append(tuple(a[2].shape[1:])))
        for layer in module.modules()
        if isinstance(layer, kinds)
    ]
    call()
    for hook in hooks:
        hook.remove()
    return found


LAYERS = (
    torch.nn.Conv2d,
    torch.nn.ConvTranspose2d,
    torch.nn.MaxPool2d,
    torch.nn.Upsample,
    torch.nn.Linear,
    ChannelwiseLinear,
    Trunk,
)


def conv(kernel, *channels, last=None):
    """Parameters of convolutions from channels to channels with batch norm, and of one `last` without."""
    chain = sum(a * b * kernel**2 + b + 2 * b for a, b in zip(channels[:-1], channels[1:], strict=True))
    return chain + (last * channels[-1] * kernel**2 + last if last else 0)


def dense(*features):
    return sum(a * b + b for a, b in zip(features[:-1], features[1:], strict=True))


MNIST_ENCODER = [(64, 28, 28), (64, 14, 14), (128, 7, 7)]
MNIST_DECODER = [(128, 7, 7), (64, 7, 7), (1, 7, 7)]
MNIST_ENCODED = conv(5, 1, 64, 64) + conv(3, 64, 128)
INITIAL_ENCODER = [(16, 128, 128), (16, 64, 64), (32, 32, 32)]
INITIAL_ENCODED = conv(5, 3, 16, 16) + conv(3, 16, 32)
FINAL_ENCODER = [(512, 16, 16), (512, 16, 16), (512, 8, 8)]
FINAL_DECODER = [(512, 8, 8), (256, 8, 8), (256, 16, 16), (128, 16, 16), (64, 16, 16), (64, 32, 32), (3, 32, 32)]
FINAL_DECODED = 1024 * 512 * 9 + 512 * 256 * 9 + 256 + conv(3, 256, 128, 64, last=3)
GENERATORS = {
    "mnist": (MNIST_ENCODER + MNIST_DECODER, MNIST_ENCODED + conv(5, 128, 128, 64, last=1)),
    "mnist_two": (2 * MNIST_ENCODER + MNIST_DECODER, 2 * MNIST_ENCODED + conv(5, 256, 128, 64, last=1)),
    "faces_initial": (
        2 * INITIAL_ENCODER + [(32, 32, 32), (16, 32, 32), (3, 32, 32)],
        2 * INITIAL_ENCODED + conv(5, 64, 32, 16, last=3),
    ),
    "faces_vgg": (
        [(512, 16, 16)] * 2 + [(256, 16, 16), (32, 16, 16), (32, 32, 32), (3, 32, 32)],
        conv(3, 1024, 256, 32, last=3),
    ),
    "faces_final": (
        [(256, 16, 16)] * 2 + 2 * FINAL_ENCODER + [(1024, 8, 8)] + FINAL_DECODER,
        2 * conv(3, 256, 512, 512) + 1024 * 64 * 64 + FINAL_DECODED,
    ),
}
MNIST_JUDGE = [(64, 14, 14), (128, 7, 7)]
MNIST_JUDGED = 25 * 64 + 64 + 25 * 64 * 128 + 128
INITIAL_JUDGE = [(8, 64, 64), (16, 32, 32)]
INITIAL_JUDGED = 25 * 3 * 8 + 8 + 25 * 8 * 16 + 16
DISCRIMINATORS = {
    "mnist": (MNIST_JUDGE + [(1,)], MNIST_JUDGED + dense(7 * 7 * 128, 1)),
    "mnist_two": (2 * MNIST_JUDGE + [(1024,), (1,)], 2 * MNIST_JUDGED + dense(2 * 7 * 7 * 128, 1024, 1)),
    "faces_initial": (2 * INITIAL_JUDGE + [(256,), (1,)], 2 * INITIAL_JUDGED + dense(2 * 32 * 32 * 16, 256, 1)),
    "faces_vgg": (
        [(512, 4, 4)] * 2 + [(64, 4, 4)] * 2 + [(128,), (1,)],
        2 * (512 * 64 + 64) + dense(2 * 4 * 4 * 64, 128, 1),
    ),
    "faces_final": (
        [(256, 4, 4), (256, 16, 16)]
        + [(128, 4, 4), (64, 4, 4), (64, 2, 2), (128,), (1,)]
        + [(256, 16, 16), (128, 16, 16), (128, 8, 8), (64, 8, 8), (64, 4, 4), (128,), (1,)],
        conv(3, 256, 128, 64) + dense(2 * 2 * 64, 128, 1) + conv(3, 256, 256, 128, 64) + dense(4 * 4 * 64, 128, 1),
    ),
}


@pytest.mark.parametrize("name", THESIS)
def test_generator_layer_by_layer(name):
    generator, _ = networks(name)
    found = shapes(generator, LAYERS, lambda: generator(*pictures(name)))
    expected, parameters = GENERATORS[name]
    assert found == expected
    assert trained(generator) == parameters


@pytest.mark.parametrize("name", THESIS)
def test_discriminators_layer_by_layer(name):
    _, judges = networks(name)
    image, mask, reference = pictures(name)
    names = tuple(judges.judges)

    def call():
        seen = judges.look(names, image, mask)
        (judged,) = judges(judges.look(names, reference, mask) if judges.paired else {}, seen)
        assert all(logits.shape == weights.shape == (2, 1) for logits, weights in judged.values())
        assert all((weights == 1).all() for _, weights in judged.values())

    expected, parameters = DISCRIMINATORS[name]
    assert shapes(judges, LAYERS, call) == expected
    assert trained(judges) == parameters
    assert names == (("adv_local", "adv_global") if name == "faces_final" else ("adv_global",))


def test_the_final_model_has_about_50_million_parameters_of_which_20_are_trained():
    generator, judges = networks("faces_final")
    learned = trained(generator) + trained(judges)
    assert round(trained(generator) / 1e6, 1) == 17.5
    assert learned == pytest.approx(20e6, rel=0.06)
    assert learned + 4 * TRUNK + FACENET == pytest.approx(50e6, rel=0.04)  # the thesis counts every use of VGG16


@pytest.mark.parametrize("name", THESIS)
def test_the_patch_lies_in_the_hole(name):
    generator, _ = networks(name)
    image, mask, reference = pictures(name)
    fill = generator(image, mask, reference)["fill"]
    assert fill.shape == image.shape
    assert fill.min() >= 0 and fill.max() <= 1
    assert (fill * (1 - mask)).abs().max() == 0
    assert (fill + 1 - mask).min() > 0  # the whole hole is filled


def test_mnist_hole_is_at_rows_and_columns_10_to_16():
    generator, _ = networks("mnist")
    rows = generator(*pictures("mnist"))["fill"][0, 0].sum(1).nonzero().flatten()
    assert rows.tolist() == list(range(10, 17))


@pytest.mark.parametrize("name", THESIS)
def test_what_is_in_the_hole_does_not_matter_and_the_reference_does(name):
    generator, _ = networks(name)
    image, mask, reference = pictures(name)
    generator.eval()
    fill = generator(image, mask, reference)["fill"]
    assert torch.equal(fill, generator(image * (1 - mask) + 0.3 * mask, mask, reference)["fill"])
    assert torch.equal(fill, generator(image, mask, 1 - reference)["fill"]) == (name == "mnist")


@pytest.mark.parametrize("name", THESIS)
def test_every_trained_parameter_gets_a_gradient(name):
    generator, judges = networks(name)
    image, mask, reference = pictures(name, 4)
    composite = mask * generator(image, mask, reference)["fill"] + (1 - mask) * image
    names = tuple(judges.judges)
    (judged,) = judges(judges.look(names, reference, mask), judges.look(names, composite, mask))
    # BatchNorm subtracts its batch's mean, so a bias before it has no effect: its gradient is 0 but for rounding.
    sum((logits**2).sum() for logits, _ in judged.values()).backward()
    for network in (generator, judges):
        missing = [n for n, p in network.named_parameters() if p.grad is None or not torch.isfinite(p.grad).all()]
        still = [n for n, p in network.named_parameters() if p.dim() > 1 and not p.grad.abs().sum() > 0]
        assert missing == [] and still == []


@pytest.mark.parametrize("name", THESIS)
def test_what_is_known_beforehand_changes_nothing(name):
    generator, _ = networks(name)
    image, mask, reference = pictures(name)
    generator.eval()
    seen = tuple(generator.look(x) for x in (image * (1 - mask), reference))
    assert torch.equal(generator(image, mask, reference)["fill"], generator(image, mask, reference, seen)["fill"])


def test_channelwise_linear_by_hand():
    layer = ChannelwiseLinear(2, 2)
    assert layer.weight.shape == (2, 4, 4)
    with torch.no_grad():
        layer.weight.zero_()
        layer.weight[0, 0, 3] = 2.0  # map 0: from place 0 to place 3
        layer.weight[1, 1, 0] = 5.0  # map 1: from place 1 to place 0
    x = torch.tensor([[[[1.0, 7.0], [0.0, 0.0]], [[0.0, 3.0], [0.0, 0.0]]]])
    assert layer(x).tolist() == [[[[0.0, 0.0], [0.0, 2.0]], [[15.0, 0.0], [0.0, 0.0]]]]


def test_signed_networks_get_and_give_minus_one_to_one():
    class Constant(torch.nn.Module):
        def forward(self, x):
            self.seen = x
            return torch.full((1, 1, 7, 7), 20.0)

    decoder, seen = Constant(), torch.nn.Identity()
    generator = PatchGenerator(28, 7, [seen], decoder, signed=True)
    fill = generator(torch.full((1, 1, 28, 28), 0.75), torch.zeros(1, 1, 28, 28), torch.zeros(1, 1, 28, 28))["fill"]
    assert (decoder.seen == 0.5).all()  # 0.75 of 0..1 is 0.5 of -1..1
    assert fill[..., 10:17, 10:17].min() == pytest.approx(1)


@pytest.mark.parametrize("name", THESIS)
def test_fresh_fills_are_not_saturated(name):
    generator, _ = networks(name)
    image, mask, reference = pictures(name, 4)
    inside = generator(image, mask, reference)["fill"][mask.expand_as(image) > 0]
    assert inside.quantile(0.05) > 0.01 and inside.quantile(0.95) < 0.99


def test_slope_of_the_leaky_relu():
    slopes = {m.negative_slope for m in networks("faces_final")[0].modules() if isinstance(m, torch.nn.LeakyReLU)}
    assert slopes == {thesis_generators.SLOPE} == {0.3}
