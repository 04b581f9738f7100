"""What the commands share: the parser, types of its options, a command's place, and what must be installed for it."""

import argparse
import importlib.util
import re
from collections.abc import Callable
from typing import Any, NoReturn, TypeAlias, TypeVar

from twoface.core.errors import TwoFaceError

Add: TypeAlias = Callable[..., argparse.Action]  # a parser's `add_argument`
Command: TypeAlias = tuple[Add, argparse.ArgumentParser]
Commands: TypeAlias = "argparse._SubParsersAction[Any]"  # what `add_subparsers` gives
Kind = TypeVar("Kind", int, float)


class Parser(argparse.ArgumentParser):
    """No abbreviations, the examples' line breaks kept, and an error of one line."""

    def __init__(self, **options: Any) -> None:
        super().__init__(formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False, **options)
        self._negative_number_matcher = re.compile(r"-\.?\d[\d.,eE+-]*$")  # a box too may begin with a minus

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"twoface: {message} (see {self.prog} --help)\n")


def number(kind: type[Kind], least: float, most: float | None = None) -> Callable[[str], Kind]:
    """An argparse type: an int or float from `least` to `most`."""

    def parse(text: str) -> Kind:
        value = kind(text)
        if not least <= value < float("inf") or (most is not None and value > most):
            bounds = f"{least} or more" if most is None else f"{least} to {most}"
            raise argparse.ArgumentTypeError(f"must be {bounds}, not {text}")
        return value

    parse.__name__ = "whole number" if kind is int else "number"  # argparse's word for it
    return parse


def quality(text: str) -> int | None:
    """An argparse type: 1 to 100, or keep -> int or None."""
    return None if text == "keep" else number(int, 1, 100)(text)


def command(
    commands: Commands, name: str, run: Callable[[argparse.Namespace], int], summary: str, examples: str
) -> Command:
    """Add a command -> (its add_argument, its parser). run: (arguments) -> exit code."""
    parser = commands.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.", epilog=examples)
    parser.set_defaults(run=run)
    return parser.add_argument, parser


def require(extra: str, *modules: str) -> None:
    """Raises TwoFaceError that names the extra to install, when a module is missing."""
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        raise TwoFaceError(f"this command needs {', '.join(missing)}: run pip install -e .[{extra}] in the checkout")
