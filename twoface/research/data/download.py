"""Big files from the network: resumable, with a progress bar, and only what was expected is kept."""

from __future__ import annotations

import hashlib
import http.client
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from tqdm import tqdm

from twoface.core.errors import TwoFaceError, Unavailable

TRIES = 3  # of each address; every one goes on where the one before was cut off
TIMEOUT = 30  # seconds without a byte
CHUNK = 1 << 20  # bytes
FAILURES = (URLError, http.client.HTTPException, TimeoutError, ConnectionError)


def download(urls: Sequence[str], path: Path, sha256: str) -> Path:
    """Fetch `path` from the first of `urls` that gives it; nothing is fetched when it is there already.

    What has arrived lies in `path`.part, where an interrupted download goes on (HTTP Range), also from another address.
    sha256: the file's SHA-256, or the beginning of it that is known; "" when nothing is known.
    Raises Unavailable when no address can be reached or the transfer breaks off, TwoFaceError when what arrived is
    not the file.
    """
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    reasons = []
    for url in [url for url in urls for _ in range(TRIES)]:
        try:
            _receive(url, part)
        except FAILURES as error:
            reasons.append(f"{url}: {getattr(error, 'reason', None) or error or type(error).__name__}")
            continue
        found = sha256_of(part)
        if found.startswith(sha256):
            return part.replace(path)
        part.unlink()
        raise TwoFaceError(f"{url} gave another file (SHA-256 {found}, not {sha256}): try again, or another source")
    kept = f"; what has arrived is kept in {part}" if part.exists() else ""
    raise Unavailable(f"{path.name} could not be downloaded ({reasons[-1]}): try again with a network{kept}")


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _receive(url: str, part: Path) -> None:
    """One transfer into `part`, from where it ends. Raises one of FAILURES when it breaks off."""
    start = part.stat().st_size if part.exists() else 0
    request = Request(url, headers={"User-Agent": "twoface", **({"Range": f"bytes={start}-"} if start else {})})
    try:
        response = urlopen(request, timeout=TIMEOUT)
    except HTTPError as error:
        if error.code == 416:  # nothing is left to send: the part is whole, as its hash will tell
            return
        raise
    with response:
        resumed = response.status == 206
        start = start if resumed else 0
        length = response.length  # None when the server does not say
        with part.open("ab" if resumed else "wb") as file, _bar(part, start, length) as bar:
            for chunk in _chunks(response):
                file.write(chunk)
                bar.update(len(chunk))
    if length is not None and part.stat().st_size != start + length:
        raise ConnectionError(f"cut off after {part.stat().st_size} of {start + length} bytes")


def _chunks(response: http.client.HTTPResponse) -> Iterator[bytes]:
    while chunk := response.read(CHUNK):
        yield chunk


def _bar(part: Path, start: int, length: int | None) -> tqdm:
    total = None if length is None else start + length
    return tqdm(desc=part.stem, total=total, initial=start, unit="B", unit_scale=True, disable=None)
