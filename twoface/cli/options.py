"""What the commands share: the parser, types of its options, a command's place, and what must be installed for it."""

import argparse
import dataclasses
import importlib.util
import re
from collections.abc import Callable, Iterator
from types import NoneType
from typing import Any, Literal, NoReturn, TypeAlias, TypeVar, get_args, get_origin, get_type_hints

from twoface.core.errors import TwoFaceError
from twoface.serving.settings import Option

Add: TypeAlias = Callable[..., argparse.Action]  # a parser's `add_argument`
Command: TypeAlias = tuple[Add, argparse.ArgumentParser]
Commands: TypeAlias = "argparse._SubParsersAction[Any]"  # what `add_subparsers` gives
Kind = TypeVar("Kind", int, float)
Settings = TypeVar("Settings")


class Parser(argparse.ArgumentParser):
    """No abbreviations, the examples' line breaks kept, and an error of one line."""

    def __init__(self, **options: Any) -> None:
        super().__init__(formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False, **options)
        self._negative_number_matcher = re.compile(r"-\.?\d[\d.,eE+-]*$")  # a box too may begin with a minus

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"twoface: {message} (see {self.prog} --help)\n")


def number(kind: type[Kind], least: float, most: float | None = None, unit: float = 1) -> Callable[[str], Kind]:
    """An argparse type: an int or float from `least` to `most`, times `unit`."""

    def parse(text: str) -> Kind:
        value = kind(text)
        if not least <= value < float("inf") or (most is not None and value > most):
            bounds = f"{least} or more" if most is None else f"{least} to {most}"
            raise argparse.ArgumentTypeError(f"must be {bounds}, not {text}")
        return kind(value * unit)

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


def add_settings(add: Add, settings: type[Any]) -> None:
    """An option for each field of a dataclass that was made by `twoface.serving.settings.option`."""
    kinds = get_type_hints(settings)
    for field, option in _options(settings):
        name = option.name or field.name.replace("_", "-")
        how = _how_to_read(kinds[field.name], option, field.default)
        add(f"--{name}", dest=field.name, metavar=option.metavar, help=option.help, **how)


def settings_of(args: argparse.Namespace, settings: type[Settings]) -> Settings:
    """What was given for the options of `add_settings` -> an object of the dataclass."""
    given = {field.name: getattr(args, field.name) for field, _ in _options(settings)}
    return settings(**{name: tuple(value) if isinstance(value, list) else value for name, value in given.items()})


def _options(settings: type[Any]) -> Iterator[tuple[dataclasses.Field[Any], Option]]:
    return ((field, field.metadata[Option]) for field in dataclasses.fields(settings) if Option in field.metadata)


def _how_to_read(kind: Any, option: Option, default: Any) -> dict[str, Any]:
    """What argparse is told of a field's type: a tuple, a Literal, or `str`, `Path`, a number, perhaps with None."""
    if get_origin(kind) is tuple:
        return {"action": "append", "default": list(default)}
    if get_origin(kind) is Literal:
        return {"choices": get_args(kind), "default": default}
    plain = next(part for part in get_args(kind) or (kind,) if part is not NoneType)
    bounded = plain in (int, float)
    return {"type": number(plain, option.least, option.most, option.unit) if bounded else plain, "default": default}


def require(extra: str, *modules: str) -> None:
    """Raises TwoFaceError that names the extra to install, when a module is missing."""
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        raise TwoFaceError(f"this command needs {', '.join(missing)}: run pip install -e .[{extra}] in the checkout")
