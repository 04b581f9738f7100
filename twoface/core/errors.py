"""The kinds of failure. A message is one line, says what to do, and names no option: each door adds its own by code."""

from typing import Any


class TwoFaceError(Exception):
    """Something of ours failed: a model file, the network, an installed package.

    code: a stable word for programs, such as "no_face"; "" where no program needs to tell it from others.
    facts: what the message tells, by name, such as a count, for programs that have words of their own.
    """

    def __init__(self, message: str = "", *, code: str = "", **facts: Any) -> None:
        super().__init__(message)
        self.code, self.facts = code, facts


class InputError(TwoFaceError, ValueError):
    """What the caller gave cannot be used: a file, a mask, a box, an option."""


class Unavailable(TwoFaceError):
    """Not now: busy, too late, or a backend that is away. What was asked may work later.

    retry_after: seconds after which to try again, or None where nobody knows.
    """

    def __init__(self, message: str = "", *, code: str = "", retry_after: float | None = None, **facts: Any) -> None:
        super().__init__(message, code=code, **facts)
        self.retry_after = retry_after


def is_out_of_memory(error: BaseException) -> bool:
    """True for a MemoryError, Python's or NumPy's, and for what OpenCV and ONNX Runtime raise in its place."""
    opencv = type(error).__module__ == "cv2" and getattr(error, "code", None) == -4  # cv2.Error.StsNoMem
    words = ("bad_alloc", "Failed to allocate memory", "can't start new thread")
    return isinstance(error, MemoryError) or opencv or any(word in str(error) for word in words)


def no_memory() -> TwoFaceError:
    """The error to raise in place of one that `is_out_of_memory`; its code is "no_memory"."""
    text = "there is not enough memory for this: close other programs, or give smaller pictures"
    return TwoFaceError(text, code="no_memory")
