"""Numbers out of a JSON body at the parser's speed (pysimdjson), with the nesting checked, and JSON back (orjson)."""

import math
import re
from collections.abc import Container, Iterable
from typing import Any

import numpy as np
import orjson
import simdjson

from twoface.core.errors import InputError
from twoface.service.tensors import Array

KINDS = {"d": np.float64, "u": np.uint64}
RANK = 4
NOT_A_NUMBER = re.compile(rb"[\[,:\s]-?(NaN|Infinity)\b")


class JsonBody:
    """A JSON object that was sent: `root`, and its arrays of numbers.

    Raises InputError for what is not a JSON object. Nothing of it may outlive the handling of its request.
    """

    def __init__(self, body: bytes) -> None:
        try:
            root = simdjson.Parser().parse(body)
        except (ValueError, RuntimeError):
            raise InputError(f"the body is not JSON: {_why_not(body)}") from None
        if not isinstance(root, simdjson.Object):
            raise InputError("the body must be a JSON object")
        self.root = root
        self._lists = body.count(b"[")
        self._read: list[tuple[Any, tuple[int, ...], str]] = []

    def array(self, value: Any, name: str, most: int, kind: str = "d") -> Array:
        """Nested lists of at most `most` numbers -> float64 ("d") or uint64 ("u") array of that nesting.

        Raises InputError.
        """
        shape = _shape(value, name)
        if math.prod(shape) > most:  # said before all of it is looked at
            raise InputError(f"{name} holds {math.prod(shape)} numbers: at most {most} go into one request")
        if not _even(value, shape):
            raise InputError(f"{name} is ragged: its lists must have one length at each level")
        try:
            numbers: Array = np.frombuffer(value.as_buffer(of_type=kind), KINDS[kind])
        except (TypeError, ValueError):
            raise InputError(f"{name} holds something that is no number of its type") from None
        if len(numbers) != math.prod(shape):
            raise InputError(f"{name} is ragged: its lists must have one length at each level")
        self._read.append((value, shape, name))
        return numbers.reshape(shape)

    def check_nesting(self, others: int) -> None:
        """Raise InputError when a number's place holds a list, which flattening had hidden.

        others: how many lists the body has beside those read by `array`. Only if there are more in it, a bracket in
        some name being one too, every number is looked at.
        """
        lists = sum(int(np.cumprod([1, *shape[:-1]], dtype=np.int64).sum()) for _, shape, _ in self._read)
        if lists + others == self._lists:
            return
        for value, shape, name in self._read:
            if not _scalars(value, len(shape)):
                raise InputError(f"{name} is ragged: its lists must have one length at each level")


def unknown_key(given: Iterable[str], known: Container[str]) -> str | None:
    """The start of a key of the JSON object `given` that is not among the known, or None; not all are looked at."""
    unknown = (key for key in given if key not in known)
    return next((key[:40] for key in unknown), None)


def dump_json(answer: Any) -> bytes:
    """-> bytes; NumPy arrays become nested lists."""
    return orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)


def _why_not(body: bytes) -> str:
    """What is wrong with a body that is not JSON."""
    if NOT_A_NUMBER.search(body):
        return "it holds NaN or Infinity, which are no numbers there: send finite numbers"
    try:
        orjson.loads(body)
    except orjson.JSONDecodeError as error:
        return str(error)
    return "it is nested too deeply, or holds a number that is too large"


def _shape(value: Any, name: str) -> tuple[int, ...]:
    shape: list[int] = []
    while isinstance(value, simdjson.Array):
        shape.append(len(value))
        if len(shape) > RANK or not len(value):
            raise InputError(f"{name} must be {RANK} lists deep and none of them empty")
        value = value[0]
    if not shape:
        raise InputError(f"{name} must be a list of numbers")
    return tuple(shape)


def _even(value: Any, shape: tuple[int, ...]) -> bool:
    """Whether all lists are as long as the first of their level. What is no list is found when it is flattened."""
    if len(shape) == 1:
        return True
    try:
        lengths = set(map(len, value))
    except TypeError:  # a number between lists
        return False
    return lengths == {shape[1]} and (len(shape) == 2 or all(_even(item, shape[1:]) for item in value))


def _scalars(value: Any, depth: int) -> bool:
    if depth == 1:
        return not any(isinstance(item, simdjson.Array) for item in value)
    return all(_scalars(item, depth - 1) for item in value)
