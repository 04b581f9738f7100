from dataclasses import replace

import pytest
import torch
from lightning.fabric import Fabric

from twoface.research.models.discriminators import PatchDiscriminators
from twoface.research.models.generator import TransferGenerator
from twoface.research.training.config import TrainConfig
from twoface.research.training.curriculum import Stage
from twoface.research.training.step import Batch, Diverged, Networks, face_view, train_step

CONFIG = TrainConfig(batch=2, r1_every=1)
BOTH = ("adv_local", "adv_global")


@pytest.fixture
def turn(frozen):
    fabric = Fabric(accelerator="cpu", devices=1, precision="32-true")
    torch.manual_seed(0)
    generator, judges = TransferGenerator((8, 8, 8, 8)), PatchDiscriminators(72, 4)
    g = fabric.setup(generator, torch.optim.Adam(generator.parameters(), 1e-3))
    d = fabric.setup(judges, torch.optim.Adam(judges.parameters(), 1e-3))
    target, reference = torch.rand(2, 2, 3, 128, 128)
    mask = torch.zeros(2, 1, 128, 128)
    mask[:, :, 32:96, 32:96] = 1
    embedding = torch.nn.functional.normalize(torch.rand(2, 16), dim=1)
    batch = Batch(target, mask, reference, target, embedding, trust=torch.ones_like(mask))
    return fabric, Networks(g[0], d[0], g[1], d[1], frozen.vgg, frozen.facenet), batch


def weights(module):
    return [p.detach().clone() for p in module.parameters()]


def changed(module, before):
    return any(not torch.equal(a, b) for a, b in zip(module.parameters(), before, strict=True))


def test_generator_turn_leaves_the_discriminators_alone(turn):
    fabric, nets, batch = turn
    before, learned = weights(nets.discriminators), weights(nets.generator)
    train_step(fabric, nets, batch, Stage(rec=0.0, adv_local=1.0, adv_global=1.0), CONFIG, 0)
    assert all(p.grad is None for p in nets.discriminators.parameters())
    assert all(p.requires_grad for p in nets.discriminators.parameters())
    assert not changed(nets.discriminators, before) and changed(nets.generator, learned)


def test_discriminator_turn_leaves_the_generator_alone_and_learns(turn):
    fabric, nets, batch = turn
    before, judged = weights(nets.generator), weights(nets.discriminators)
    stage = Stage(rec=0.0, discriminate=BOTH, discriminator_lr=1e-3)
    terms = [train_step(fabric, nets, batch, stage, CONFIG, step) for step in range(12)]
    assert not changed(nets.generator, before) and changed(nets.discriminators, judged)
    assert all(p.grad is None for p in nets.generator.parameters())
    assert terms[-1]["discriminator_local"] < terms[0]["discriminator_local"]


def test_warm_up_trains_the_discriminators_without_a_say(turn):
    fabric, nets, batch = turn
    before = weights(nets.discriminators)
    terms = train_step(fabric, nets, batch, Stage(discriminate=BOTH), CONFIG, 0)
    assert changed(nets.discriminators, before)
    assert terms["total"] == pytest.approx(float(terms["rec"])) and "adv_local" not in terms


@pytest.mark.parametrize("one", ["local", "global"])
def test_one_judge_warms_up_alone(turn, one):
    fabric, nets, batch = turn
    judges = nets.discriminators.module.judges
    before = {name: weights(judge) for name, judge in judges.items()}
    terms = train_step(fabric, nets, batch, Stage(discriminate=(f"adv_{one}",)), CONFIG, 0)
    assert [name for name in judges if changed(judges[name], before[name])] == [f"adv_{one}"]
    assert {name for name in terms if name.startswith("disc")} == {f"discriminator_{one}"}


def test_real_pictures_may_be_others_than_the_targets(turn):
    fabric, nets, batch = turn
    stage = Stage(rec=0.0, discriminate=BOTH)
    same = train_step(fabric, nets, batch, stage, TrainConfig(r1=0.0), 0)
    other = train_step(fabric, nets, replace(batch, real=1 - batch.real), stage, TrainConfig(r1=0.0), 0)
    assert same["discriminator_global"] != other["discriminator_global"]


def test_the_discriminators_weight_scales_their_gradient(turn):
    fabric, nets, batch = turn
    stage, gradients = Stage(rec=0.0, discriminate=BOTH, discriminator_lr=0.0), []
    for weight in (1.0, 0.1):
        train_step(fabric, nets, batch, replace(stage, discriminator_weight=weight), TrainConfig(r1=0.0), 0)
        gradients.append([p.grad.clone() for p in nets.discriminators.parameters()])
    assert all(torch.allclose(0.1 * a, b, atol=1e-7) for a, b in zip(*gradients, strict=True))


def test_learning_rate_is_the_stage_s(turn):
    fabric, nets, batch = turn
    train_step(fabric, nets, batch, Stage(lr=0.0123), CONFIG, 0)
    assert {group["lr"] for group in nets.generator_optimizer.param_groups} == {0.0123}


def test_steps_lower_the_loss(turn):
    fabric, nets, batch = turn
    totals = [float(train_step(fabric, nets, batch, Stage(lr=2e-3), CONFIG, step)["rec"]) for step in range(12)]
    assert totals[-1] < 0.9 * totals[0]


def test_identity_transfer_and_synthesis_need_a_reference(turn):
    fabric, nets, batch = turn
    stage = Stage(identity=1.0, transfer=1.0, synthesis=1.0)
    assert {"identity", "transfer", "synthesis"} <= train_step(fabric, nets, batch, stage, CONFIG, 0).keys()
    batch.reference[0] = 0
    one = train_step(fabric, nets, batch, stage, CONFIG, 0)
    assert {"identity", "transfer", "synthesis"} <= one.keys()
    batch.reference[1] = 0
    assert not {"identity", "transfer", "synthesis"} & train_step(fabric, nets, batch, stage, CONFIG, 0).keys()


def test_a_reference_counts_where_it_is_trusted_and_a_sample_where_it_has_one(turn):
    fabric, nets, batch = turn
    stage = Stage(rec=0.0, identity=1.0, transfer=1.0, lr=0.0)
    beside = train_step(fabric, nets, replace(batch, trust=1 - batch.mask), stage, CONFIG, 0)
    assert beside["transfer"] == 0
    batch.reference[0] = 0
    stage, other = replace(stage, transfer=0.0), batch.embedding.flip(1)
    here, without, with_one = (
        train_step(fabric, nets, replace(batch, embedding=torch.stack(each)), stage, CONFIG, 0)["identity"]
        for each in (tuple(batch.embedding), (other[0], batch.embedding[1]), (batch.embedding[0], other[1]))
    )
    assert here == without != with_one


def test_gradients_of_a_step_are_its_own(turn):
    fabric, nets, batch = turn
    stage, found = Stage(discriminate=BOTH, lr=0.0, discriminator_lr=0.0), []
    for _ in range(2):
        train_step(fabric, nets, batch, stage, TrainConfig(r1=0.0), 0)
        found.append(
            [
                p.grad.clone()
                for net in (nets.generator, nets.discriminators)
                for p in net.parameters()
                if p.grad is not None
            ]
        )
    assert all(torch.allclose(a, b, rtol=1e-3, atol=1e-7) for a, b in zip(*found, strict=True))


def gradients(nets):
    return [p.grad.detach().clone() for p in nets.discriminators.module.judges["adv_local"].parameters()]


def test_the_gradient_penalty_is_that_of_real_pictures_and_scaled_by_how_rarely_it_is_computed(turn):
    fabric, nets, batch = turn
    stage, found = Stage(rec=0.0, discriminate=BOTH, discriminator_lr=0.0), {}
    for name, r1, every, step in (("none", 0, 1, 0), ("each", 2, 1, 0), ("fourth", 2, 4, 0), ("not now", 2, 4, 1)):
        train_step(fabric, nets, batch, stage, TrainConfig(r1=float(r1), r1_every=every), step)
        found[name] = gradients(nets)
    penalty = [a - b for a, b in zip(found["each"], found["none"], strict=True)]
    rare = [a - b for a, b in zip(found["fourth"], found["none"], strict=True)]
    assert max(p.abs().max() for p in penalty) > 0
    assert all(torch.allclose(a, 4 * b, rtol=1e-3, atol=1e-6) for a, b in zip(rare, penalty, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(found["not now"], found["none"], strict=True))

    judges = nets.discriminators.module
    reference = judges.look(("adv_local",), batch.reference, batch.mask) if judges.paired else {}
    real = judges.look(("adv_local",), batch.real, batch.mask)["adv_local"].detach().requires_grad_(True)
    ((logits, shares),) = [one["adv_local"] for one in judges(reference, {"adv_local": real})]
    (slope,) = torch.autograd.grad((logits * shares).sum(), real, create_graph=True)
    colours = slope[:, :3].square().sum((1, 2, 3)).mean()
    wanted = torch.autograd.grad(colours, list(judges.judges["adv_local"].parameters()), allow_unused=True)
    for given, own in zip(penalty, wanted, strict=True):  # r1 / 2 is 1
        assert torch.allclose(given, torch.zeros_like(given) if own is None else own, rtol=1e-3, atol=1e-6)


def test_judges_that_only_learn_hold_nothing_of_the_generators(turn):
    fabric, nets, batch = turn
    looked = []
    look = nets.discriminators.module.look

    def watched(names, picture, mask):
        looked.append((names, picture.requires_grad))
        if picture is not batch.real and picture is not batch.reference:
            assert torch.equal(picture * (1 - mask), batch.target * (1 - mask)), "outside the hole it is the photo"
        return look(names, picture, mask)

    nets.discriminators.module.look = watched
    stage = Stage(adv_local=1.0, discriminate=BOTH)
    train_step(fabric, nets, batch, stage, CONFIG, 0)
    assert (("adv_local",), True) in looked and (("adv_global",), False) in looked


def test_judges_that_learn_and_are_heard_are_both_taught(turn):
    fabric, nets, batch = turn
    before, learned = weights(nets.discriminators), weights(nets.generator)
    stage = Stage(rec=0.0, adv_local=1.0, adv_global=1.0, discriminate=BOTH)
    terms = train_step(fabric, nets, batch, stage, CONFIG, 0)
    assert changed(nets.discriminators, before) and changed(nets.generator, learned)
    assert terms["total"] == pytest.approx(float(terms["adv_local"] + terms["adv_global"]))


def test_facenet_sees_the_middle_of_the_frame():
    ramp = torch.arange(128.0).expand(1, 3, 128, 128)
    for picture in (ramp, ramp.transpose(2, 3)):
        view = face_view(picture)
        assert view.shape == (1, 3, 160, 160)
        assert (view.min(), view.max(), view.mean()) == pytest.approx((6, 121, 63.5), abs=1e-3)
    assert face_view(ramp)[0, 0, 80, 1] == pytest.approx(5.5 + 1.5 * 116 / 160)  # a pixel's centre is half a pixel in


def test_a_diverging_discriminator_is_told_in_the_warm_up_and_not_stepped(turn):
    fabric, nets, batch = turn
    with torch.no_grad():
        next(nets.discriminators.parameters()).fill_(float("nan"))
    last = list(nets.discriminators.parameters())[-1].detach().clone()
    with pytest.raises(Diverged, match="discriminator became nan"):
        train_step(fabric, nets, batch, Stage(discriminate=BOTH), CONFIG, 0)
    assert torch.equal(list(nets.discriminators.parameters())[-1], last)
