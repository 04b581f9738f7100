import pytest

from twoface.core.errors import InputError
from twoface.research.training.config import parse_experiment
from twoface.research.training.table import apply, parse_assignment, path_steps


def experiment(*assignments):
    table = {"stages": [{"rec": 1.0}, {"start": 10, "identity": 0.1}, {"start": 20, "identity": 0.3}]}
    return parse_experiment(apply(table, assignments))


def test_values_of_every_kind():
    simple = "seed=7", 'name="other"', "train.batch=32", "train.clip=2"
    set_ = experiment(*simple, "data.augmentation.shift=1.5", "model.widths=[8,8,8,8]")
    assert (set_.seed, set_.name, set_.train.batch, set_.train.clip) == (7, "other", 32, 2.0)
    assert set_.data.augmentation.shift == 1.5 and set_.model.widths == (8, 8, 8, 8)
    assert set_.data.augmentation.rotation == 15.0  # its neighbours keep their defaults


def test_a_stage_s_value_holds_until_another_says_otherwise():
    assert [s.identity for s in experiment("stages[1].identity=0.2").stages] == [0.0, 0.2, 0.3]
    assert [s.lr for s in experiment("stages[1].lr=0.5").stages] == [3e-4, 0.5, 0.5]


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("train.bath=3", "train: unknown key 'bath'; did you mean 'batch'"),
        ("train.learning_rate=1", r"train: unknown key 'learning_rate'; did you mean 'stages\[N\].lr'"),
        ("train.hole=1", "did you mean 'data.hole'"),
        ("train.batch_size=1", "did you mean 'batch'"),
        ("train.batch=0", "train: batch must be 1 or more, not 0"),
        ("train.log_every=0", "log_every must be 1 or more"),
        ("train.betas=[0.5, nan]", "betas must be 0 or more, not nan"),
        ("train.ema=1.5", "ema must be below 1"),
        ("stages[0].lr=-1", "lr must be 0 or more"),
        ("trian.batch=3", "unknown key 'trian'; did you mean 'train'"),
        ("stages[1].identiti=1", r"stages\[1\]: unknown key 'identiti'; did you mean 'identity'"),
        ("train.batch=2.5", "train: batch must be int, not 2.5"),
        ("train.batch=true", "must be int, not True"),
        ("train.betas=[0.5]", "train: betas must hold 2 values, not 1"),
        ('model.widths=[8, "wide", 8, 8]', r"model: widths\[1\] must be int, not 'wide'"),
        ('losses.rec="l3"', "losses: rec must be l1_hole or mse, not 'l3'"),
        ("stages[3].rec=1.0", r"stages\[3\].rec: there is no \[3\]: stages holds 3, counted from 0"),
        ("seed[0]=1", r"there is no \[0\]: seed is not a list here"),
        ("stages.rec=1", "stages is a value or a list"),
        ("train.batch", "give section.key=value"),
        ("train.=3", "'train.' is no place in an experiment"),
        ("name=other", """'other' is no TOML value; a word needs quotes, as in --set 'name="other"'"""),
    ],
)
def test_mistakes(assignment, message):
    with pytest.raises(InputError, match=message):
        experiment(assignment)


def test_paths():
    assert path_steps("stages[1].lr") == ["stages", 1, "lr"] and path_steps("a.b_c[0][2]") == ["a", "b_c", 0, 2]
    assert parse_assignment("a=[1, 2]") == ("a", [1, 2])
