"""The table of `benchmarks/mutants.py` keeps up with the code: what it changes is there, once."""

import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TABLE = tomllib.loads((ROOT / "benchmarks" / "mutants.toml").read_text())


@pytest.mark.parametrize("entry", TABLE["equivalent"] + TABLE["fault"], ids=lambda entry: entry["old"][:40])
def test_a_listed_change_has_its_place(entry):
    assert (ROOT / entry["file"]).read_text().count(entry["old"]) == 1


def test_files_and_their_tests_are_there():
    for name, tests in TABLE["tests"].items():
        assert (ROOT / name).is_file()
        assert all((ROOT / test).exists() for test in tests if test.startswith("tests/"))
