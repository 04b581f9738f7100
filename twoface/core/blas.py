"""Numpy's linear algebra on one thread, where its matrices are small. No torch."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import RLock

from threadpoolctl import ThreadpoolController

_lock = RLock()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """A context, or a decorator, within which BLAS works with one thread; afterwards with as many as before.

    Its threads spin while they wait for each other: beside other work a system of 100 equations takes many times as
    long. The number counts for the whole process, so one of Python's threads at a time is within. Where no BLAS is
    found that can be told (macOS has its own) nothing changes.
    """
    with _lock, _libraries().limit(limits=1):
        yield


def _renew() -> None:
    """In a forked process: whoever was within is not in it."""
    global _lock
    _lock = RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)


@cache
def _libraries() -> ThreadpoolController:
    return ThreadpoolController().select(user_api="blas")
