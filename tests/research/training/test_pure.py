"""Losses against hand-worked numbers, the curriculum as a pure function, the experiment files."""

import math
from pathlib import Path

import pytest
import torch

from twoface.core.errors import InputError
from twoface.research.models.build import HELPERS, OURS, THESIS
from twoface.research.training import losses
from twoface.research.training.config import load_experiment, parse_experiment, to_table
from twoface.research.training.curriculum import Stage, stage_at

EXPERIMENTS = sorted((Path(__file__).parents[3] / "experiments").glob("*.toml"))


def test_rec_counts_the_hole_alone():
    fill, target = torch.full((1, 3, 4, 4), 0.5), torch.zeros(1, 3, 4, 4)
    fill[:, :, 0] = 100.0  # known region: must not count
    mask = torch.zeros(1, 1, 4, 4)
    mask[:, :, 2:] = 1
    assert losses.l1_hole(fill, target, mask) == pytest.approx(0.5)


def test_chroma_is_what_colours_have_beside_their_brightness():
    target = torch.rand(1, 3, 4, 4, generator=torch.Generator().manual_seed(0)) / 2
    mask = torch.ones(1, 1, 4, 4)
    assert losses.chroma(target + 0.3, target, mask) == pytest.approx(0, abs=1e-6)  # brighter, of the same colour
    redder = target + torch.tensor([0.3, 0, 0])[:, None, None]  # by .2 more red, .1 less green and blue
    assert losses.chroma(redder, target, mask) == pytest.approx(0.4 / 3)
    mask[:, :, 2:] = 0
    redder[:, :, 2:] = 9
    assert losses.chroma(redder, target, mask) == pytest.approx(0.4 / 3)


def test_mse_is_the_mean_over_the_whole_picture():
    fill, target = torch.full((1, 3, 4, 4), 0.75), torch.full((1, 3, 4, 4), 0.25)
    mask = torch.zeros(1, 1, 4, 4)
    mask[:, :, 0] = 1  # a quarter of the picture; outside it the composite is the target
    assert losses.mse(fill, target, mask) == pytest.approx(0.25 * 0.5**2)


def test_l2_is_the_distance_of_the_embeddings():
    fake = torch.tensor([[1.0, 0.0], [0.0, 0.0]], requires_grad=True)
    distance = losses.l2(fake, torch.tensor([[0.0, 1.0], [0.0, 0.0]]))
    assert distance.item() == pytest.approx(2**0.5 / 2, abs=1e-6)
    distance.backward()
    assert torch.isfinite(fake.grad).all()  # though the second pair is equal


def test_perceptual_is_relative_to_each_layer():
    real = [torch.full((1, 2, 2, 2), 4.0), torch.full((1, 1, 1, 1), 0.1)]
    fake = [torch.full((1, 2, 2, 2), 5.0), torch.full((1, 1, 1, 1), 0.2)]
    assert losses.perceptual(fake, real) == pytest.approx((0.25 + 1.0) / 2)


def test_distances_do_not_ask_which_way():
    a, b = torch.tensor([0.2, -0.7, 0.5, -0.1]).reshape(1, 1, 2, 2), torch.tensor([0.4, -0.2, -0.3, 0.6])
    b, hole = b.reshape(1, 1, 2, 2), torch.tensor([[[[1.0, 1.0], [0.0, 1.0]]]])
    for loss in losses.REC.values():
        assert loss(a, b, hole) == pytest.approx(float(loss(b, a, hole))) and loss(a, b, hole) > 0
    assert (
        losses.perceptual([a], [b]) == pytest.approx(float(losses.perceptual([-a], [-b])))
        and losses.perceptual([a], [b]) < 2
    )
    assert losses.smooth(a, b, a, b) == pytest.approx(float(losses.smooth(-a, -b, -a, -b)))
    near, far = torch.zeros(1, 478, 3), torch.ones(1, 478, 3)
    assert losses.mesh(near, far) == losses.mesh(far, near) == pytest.approx(1.3)


def test_identity_is_one_minus_cosine():
    a, b = torch.eye(2)[:1], torch.tensor([[0.6, 0.8]])
    assert losses.cosine(a, b) == pytest.approx(0.4)
    assert losses.cosine(a, -a) == pytest.approx(2.0)


def test_adversarial_terms_are_the_binary_cross_entropy():
    real, fake = torch.tensor([[2.0, -1.0]]), torch.tensor([[0.5, 3.0]])
    even, bce = torch.full((1, 2), 0.5), torch.nn.functional.binary_cross_entropy_with_logits
    assert losses.adversarial(fake, even) == pytest.approx(float(bce(fake, torch.ones(1, 2))))
    expected = bce(real, torch.ones(1, 2)) + bce(fake, torch.zeros(1, 2))
    assert losses.discriminator(real, fake, even) == pytest.approx(float(expected))
    first = torch.tensor([[1.0, 0.0]])
    assert losses.adversarial(torch.tensor([[0.0, -50.0]]), first) == pytest.approx(math.log(2))


def test_transfer_counts_the_hole_alone():
    weight, mask = torch.full((1, 1, 2, 2), 0.25), torch.zeros(1, 1, 8, 8)
    weight[0, 0, 0, 0] = 1.0
    mask[:, :, :4, :] = 1  # both cells of the upper row
    assert losses.transfer(weight, mask) == pytest.approx((0 + 0.75) / 2)


def test_synthesis_counts_the_hole_alone_and_is_nothing_at_best():
    mask = torch.zeros(1, 1, 2, 2)
    mask[..., 0, :] = 1
    target = torch.full((1, 3, 2, 2), 0.25)
    picture = target.clone()
    picture[..., 1, :] = 1.0
    assert losses.synthesis(picture, target, mask) == pytest.approx(0)
    picture[..., 0, :] = 0.5
    expected = 0.25 * math.log(0.25 / 0.5) + 0.75 * math.log(0.75 / 0.5)
    assert losses.synthesis(picture, target, mask) == pytest.approx(expected)


def test_terms_of_a_batch_are_means_over_its_pictures():
    """Two unlike pictures weigh as the two on their own."""
    torch.manual_seed(0)
    a, b, weights = torch.randn(2, 3), torch.randn(2, 3), torch.softmax(torch.randn(2, 3), 1)
    for term, given in (
        (losses.adversarial, (a, weights)),
        (losses.discriminator, (a, b, weights)),
        (losses.cosine, (a, b)),
        (losses.l2, (a, b)),
        (losses.mesh, (torch.randn(2, 478, 3), torch.randn(2, 478, 3))),
    ):
        whole, parts = term(*given), [term(*(x[i : i + 1] for x in given)) for i in (0, 1)]
        assert whole.shape == () and torch.allclose(whole, sum(parts) / 2, atol=1e-6), term.__name__
        assert abs(parts[0] - parts[1]) > 1e-4


def test_terms_of_a_hole_are_means_over_its_pixels():
    mask = torch.zeros(2, 1, 4, 4)
    mask[0, :, :2], mask[1, :, 3, 3] = 1, 1  # 8 pixels and one
    fill, target = torch.zeros(2, 3, 4, 4), torch.zeros(2, 3, 4, 4)
    fill[0], fill[1] = 0.25, 0.5
    assert losses.l1_hole(fill, target, mask) == pytest.approx((8 * 0.25 + 0.5) / 9)
    entropy = -(8 * math.log(0.75) + math.log(0.5)) / 9
    assert losses.synthesis(fill, target, mask) == pytest.approx(entropy)
    assert losses.transfer(torch.full((2, 1, 4, 4), 0.25), mask) == pytest.approx(0.75)
    one = torch.zeros(1, 1, 4, 4)
    one[..., 0, 0] = 1
    assert losses.l1_hole(fill[:1], target[:1], one) == pytest.approx(0.25)
    assert losses.synthesis(fill[:1], target[:1], one) == pytest.approx(-math.log(0.75))
    assert losses.l1_hole(fill, target, mask * 0) == losses.synthesis(fill, target, mask * 0) == 0
    assert losses.transfer(torch.zeros(2, 1, 4, 4), mask * 0) == 0


def test_a_mesh_is_off_by_its_pixels_and_less_by_its_depth():
    wanted = torch.randn(2, 478, 3)
    assert losses.mesh(wanted + torch.tensor([2.0, 0, 0]), wanted) == pytest.approx(1.0, abs=1e-5)
    assert losses.mesh(wanted - torch.tensor([0, 3.0, 0]), wanted) == pytest.approx(1.5, abs=1e-5)
    assert losses.mesh(wanted + torch.tensor([0, 0, 4.0]), wanted) == pytest.approx(1.2, abs=1e-5)


def test_occlusion_by_hand():
    covered = torch.tensor([[[1, 1, 1, 0], [0, 255, 255, 255]]], dtype=torch.uint8)  # three of five that are known
    logits = torch.zeros(1, 1, 2, 4)
    entropy, marked, truth = 4 * math.log(2), 5 * 0.5, 3
    dice = 1 - (2 * 0.5 * 3 + 60) / (marked + truth + 60)
    assert losses.occlusion(logits, covered) == pytest.approx(entropy + dice)
    logits[..., 1, 1:] = 5  # where nobody knows
    assert losses.occlusion(logits, covered) == pytest.approx(entropy + dice)
    nobody = torch.full_like(covered, 255)
    assert losses.occlusion(logits, nobody) == 0
    both = losses.occlusion(torch.cat([logits, logits]), torch.cat([covered, nobody]))
    assert both == pytest.approx(entropy + dice / 2)


def test_layers_must_be_as_many():
    with pytest.raises(ValueError):
        losses.perceptual([torch.ones(1, 1, 2, 2)], [torch.ones(1, 1, 2, 2)] * 2)


def test_smooth_by_hand():
    zero = torch.zeros(1, 1, 2, 2)
    step = torch.tensor([[[[0.0, 1.0], [0.0, 1.0]]]])
    assert losses.smooth(8 * step, zero, zero, zero) == pytest.approx(1.0)  # the flow counts in units of 8 px
    assert losses.smooth(zero, zero, zero, step) == pytest.approx(1.0)
    assert losses.smooth(zero, zero + 3, zero, zero) == 0


def test_stage_depends_on_the_step_alone():
    stages = (
        Stage(lr=1.0),
        Stage(start=100, ramp=50, lr=0.0, identity=1.0),
        Stage(start=300, lr=0.5, discriminate=("adv_local",)),
    )
    assert stage_at(stages, 99) == stages[0]
    halfway = stage_at(stages, 125)
    assert (halfway.lr, halfway.identity) == (0.5, 0.5)
    assert stage_at(stages, 150) == stage_at(stages, 299) == stages[1]
    assert stage_at(stages, 300) == stages[2]


def test_stages_inherit_what_they_do_not_say():
    experiment = parse_experiment(
        {"stages": [{"rec": 2.0}, {"start": 10, "ramp": 5, "identity": 0.1}, {"start": 20, "lr": 0.5}]}
    )
    last = experiment.stages[2]
    assert (last.rec, last.identity, last.lr, last.ramp) == (2.0, 0.1, 0.5, 0)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"train": {"bath": 3}}, "unknown key 'bath'; did you mean 'batch'"),
        ({"sed": 3}, "did you mean 'seed'"),
        ({"train": {"batch": "many"}}, "train: batch must be int, not 'many'"),
        ({"train": {"batch": True}}, "must be int"),
        ({"losses": {"rec": "l3"}}, "losses: rec must be l1_hole or mse, not 'l3'"),
        ({"stages": [{"start": 5}]}, "stages must start at 0"),
        ({"stages": [{"start": 0, "identiti": 1}]}, r"stages\[0\]: unknown key 'identiti'; did you mean 'identity'"),
    ],
)
def test_mistakes_in_an_experiment(table, message):
    with pytest.raises(InputError, match=message):
        parse_experiment(table)


def test_unreadable_experiments(tmp_path):
    with pytest.raises(InputError, match="experiments/transfer.toml"):
        load_experiment(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("name = ")
    with pytest.raises(InputError, match="is not TOML"):
        load_experiment(tmp_path / "bad.toml")


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_every_experiment_file_loads_and_survives_its_table(path):
    experiment = load_experiment(path)
    assert experiment.name == path.stem and experiment.model.name in OURS | THESIS | HELPERS
    assert parse_experiment(to_table(experiment)) == experiment
