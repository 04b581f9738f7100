"""Name -> builder of a generator, a plain dict."""

from twoface.errors import InputError
from twoface.models.generator import TransferGenerator

GENERATORS = {
    "transfer": lambda widths: TransferGenerator(widths, transfer=True),
    "synthesis": lambda widths: TransferGenerator(widths, transfer=False),
}


def build_generator(name: str, widths: tuple[int, int, int, int]) -> TransferGenerator:
    """Raises InputError for a name that nobody registered."""
    if name not in GENERATORS:
        raise InputError(f"no generator is called {name!r}: choose of {', '.join(sorted(GENERATORS))}")
    return GENERATORS[name](widths)
