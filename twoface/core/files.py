"""Files: written aside and then renamed, never overwritten unasked; and the network files inside installed packages."""

import hashlib
import importlib.util
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias
from unicodedata import category

from twoface.core.errors import InputError, TwoFaceError

PathLike: TypeAlias = str | os.PathLike[str]
Source: TypeAlias = PathLike | bytes | bytearray | memoryview  # a file, or its content


def check_output(path: PathLike, force: bool = False) -> Path:
    """Make sure `path` can be written, before the long work starts.

    A symbolic link is followed: what it leads to is written, and need not exist yet.
    Raises InputError when it exists and not `force`, is a folder, has no legal name, or its folder is missing or not
    writable.
    """
    path = Path(path)
    check_name(path)
    try:
        target = _target(path)
        if target.is_dir():
            raise InputError(f"{path} is a folder: give a file name for the output")
        if target.is_symlink():
            raise InputError(f"{path} is a symbolic link to itself: choose another name")
        if target.exists() and not force:
            raise InputError(f"{path} exists: choose another name, or allow it to be overwritten", code="exists")
        if not target.parent.is_dir():
            wrong = "is a file: choose another place" if target.parent.exists() else "does not exist: create it first"
            raise InputError(f"the folder {target.parent} {wrong}")
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from error
    if not os.access(target.parent, os.W_OK):
        raise InputError(f"the folder {target.parent} is not writable: choose another place for {path.name}")
    return path


def write_aside(path: PathLike, data: bytes | memoryview | Callable[[str], object], force: bool = False) -> Path:
    """Write `path` whole or not at all: into a temporary file beside it, flushed to disk, then renamed.

    data: bytes, or a function that is given the temporary path and writes the file there. A symbolic link stays, and
    what it leads to is written. A file that was there keeps its mode; a new one has that of the umask.
    Raises InputError as `check_output`, TwoFaceError when the disk refuses (full, read-only); what `path` held stays.
    """
    path = check_output(path, force)
    target = _target(path)
    temporary = target.with_name(f".twoface-{secrets.token_hex(8)}{target.suffix[:16]}")  # short: a name has a limit
    try:
        mode = target.stat().st_mode & 0o7777 if target.exists() else None
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666 if mode is None else 0o600)
        with open(handle, "wb") as file:
            if not callable(data):
                file.write(data)
        if callable(data):
            data(str(temporary))
        if mode is not None:
            os.chmod(temporary, mode)
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except OSError as error:
        raise TwoFaceError(f"cannot write {path}: {error.strerror or error}; what was there is untouched") from error
    finally:
        temporary.unlink(missing_ok=True)
    return path


def check_name(path: PathLike) -> None:
    """Raises InputError for what is not `is_name`."""
    if not is_name(path):
        raise InputError(f"{printable(path)} cannot be a file's name here: choose another")


def is_name(path: PathLike) -> bool:
    """False for what no file can be called: with a NUL, or characters that the system's encoding lacks."""
    try:
        return b"\0" not in os.fsencode(path)
    except UnicodeEncodeError:
        return False


def printable(text: object) -> str:
    """A file's name, or a message with one, without what a terminal or a text file cannot take.

    Bytes of a name that are not UTF-8, and control characters, are escaped: `\\udcff`, `\\n`.
    """
    escaped = ("Cc", "Cs", "Zl", "Zp")
    return "".join(c.encode("unicode_escape").decode() if category(c) in escaped else c for c in str(text))


def sha256(path: PathLike) -> str:
    """The SHA-256 of a file's content -> str of hexadecimal digits. Raises OSError."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def cache_folder() -> Path:
    """Where files are kept that can be made or fetched again: $TWOFACE_CACHE, else ~/.cache/twoface."""
    return Path(os.environ.get("TWOFACE_CACHE", Path.home() / ".cache" / "twoface"))


def package_file(package: str, name: str, digest: str) -> Path:
    """The path of a network file inside an installed package, its content checked; the package is not imported.

    Raises TwoFaceError when the package is missing or the file is not the one that we know.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise TwoFaceError(f"the package that brings {package}/{name} is not installed: install twoface again with pip")
    path = Path(spec.submodule_search_locations[0]) / name
    if not path.is_file() or sha256(path) != digest:
        raise TwoFaceError(f"{path} is not the file that twoface was built with: install twoface again with pip")
    return path


def _target(path: Path) -> Path:
    """Where a symbolic link leads; any other path as it is."""
    return Path(os.path.realpath(path)) if path.is_symlink() else path
