"""The two kinds of failure. A message is one line and says what to do."""


class TwoFaceError(Exception):
    """Something of ours failed: a model file, the network, an installed package."""


class InputError(TwoFaceError, ValueError):
    """What the caller gave cannot be used: a file, a mask, a box, an option."""
