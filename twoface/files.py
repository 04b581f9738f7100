"""Files: written aside and then renamed, never overwritten unasked; and the network files inside installed packages."""

import hashlib
import importlib.util
import os
import tempfile
from pathlib import Path

from twoface.errors import InputError, TwoFaceError


def check_output(path, force=False):
    """Make sure `path` can be written, before the long work starts -> Path.

    Raises InputError when it exists and not `force`, is a folder, or its folder is missing or not writable.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder: give a file name for the output")
    if path.exists() and not force:
        raise InputError(f"{path} exists: use --force to overwrite it, or choose another name")
    if not path.parent.is_dir():
        raise InputError(f"the folder {path.parent} does not exist: create it first")
    if not os.access(path.parent, os.W_OK):
        raise InputError(f"the folder {path.parent} is not writable: choose another place for {path.name}")
    return path


def write_aside(path, data, force=False):
    """Write `path` whole or not at all: into a temporary file beside it, flushed to disk, then renamed -> Path.

    data: bytes, or a function that is given the temporary path and writes the file there.
    Raises InputError as `check_output`, TwoFaceError when the disk refuses (full, read-only); what `path` held stays.
    """
    path = check_output(path, force)
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=path.suffix, dir=path.parent)
    except OSError as error:
        raise TwoFaceError(f"cannot write {path}: {error.strerror}") from error
    try:
        with os.fdopen(handle, "wb") as file:
            if not callable(data):
                file.write(data)
        if callable(data):
            data(temporary)
        os.chmod(temporary, 0o666 & ~_umask())
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise TwoFaceError(f"cannot write {path}: {error.strerror or error}; what was there is untouched") from error
    finally:
        Path(temporary).unlink(missing_ok=True)
    return path


def cache_folder():
    """Where files are kept that can be made or fetched again: $TWOFACE_CACHE, else ~/.cache/twoface -> Path."""
    return Path(os.environ.get("TWOFACE_CACHE", Path.home() / ".cache" / "twoface"))


def package_file(package, name, sha256):
    """The path of a network file inside an installed package, its content checked; the package is not imported.

    Raises TwoFaceError when the package is missing or the file is not the one that we know.
    """
    spec = importlib.util.find_spec(package)
    if spec is None:
        raise TwoFaceError(f"the package that brings {package}/{name} is not installed: install twoface again with pip")
    path = Path(spec.submodule_search_locations[0]) / name
    if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
        raise TwoFaceError(f"{path} is not the file that twoface was built with: install twoface again with pip")
    return path


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask
