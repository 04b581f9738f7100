"""The kinds of failure. A message is one line and says what to do."""


class TwoFaceError(Exception):
    """Something of ours failed: a model file, the network, an installed package.

    code: a stable word for programs, such as "no_face"; "" where no program needs to tell it from others.
    numbers: what the message counts, by name, for programs that have words of their own.
    """

    def __init__(self, message="", *, code="", **numbers):
        super().__init__(message)
        self.code, self.numbers = code, numbers


class InputError(TwoFaceError, ValueError):
    """What the caller gave cannot be used: a file, a mask, a box, an option."""


class Unavailable(TwoFaceError):
    """Not now: busy, too late, or a backend that is away. What was asked may work later.

    retry_after: seconds after which to try again, or None where nobody knows.
    """

    def __init__(self, message="", *, code="", retry_after=None, **numbers):
        super().__init__(message, code=code, **numbers)
        self.retry_after = retry_after
