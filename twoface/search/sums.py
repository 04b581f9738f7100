"""Checksums of an index's files, so that damage is named and not taken for an index with less in it.

LanceDB never changes a file, it writes new ones and removes old ones. So a file that differs is damaged at all times,
and one that is missing is damage unless a writer is at work, or was killed.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from twoface.core.files import write_aside

SUMS = "checksums.json"
HINT = "latest_version_hint.json"  # which LanceDB changes, and does without
SHOWN = 3  # files named in a message


def seal(facts: dict[str, Any]) -> str:
    """A dict -> JSON with a checksum of its own."""
    return json.dumps({"sha256": _digest(facts), **facts}, indent=1)


def unseal(text: str) -> dict[str, Any]:
    """What `seal` was given. Raises ValueError for anything else."""
    facts = json.loads(text)
    if not isinstance(facts, dict) or facts.pop("sha256", None) != _digest(facts):
        raise ValueError("its checksum is another")
    return facts


class Sums:
    """The file `SUMS` of a folder: {path: [bytes, SHA-256]} of what lies in `tables` and of `files`, which change."""

    def __init__(self, folder: Path, tables: Iterable[str], files: Sequence[str]) -> None:
        self._folder, self._tables, self._files = folder, tables, files

    @property
    def readable(self) -> bool:
        return self._read() is not None

    def begin(self, anew: bool = False) -> None:
        """From now on files may come and go. anew: new ones may take the names of those that there were."""
        self._write({} if anew else (self._read() or {}).get("files", {}), True)

    def finish(self) -> None:
        """The files that are there now are those that must be. What was known of one that cannot change is kept."""
        known = (self._read() or {}).get("files", {})
        fixed = {name: about for name, about in known.items() if name not in self._files}
        self._write({name: fixed.get(name) or self._about(name) for name in self._there()}, False)

    def problems(self, whole: bool) -> list[str]:
        """What is missing or damaged, in words -> list. whole: read every byte, otherwise sizes alone."""
        facts = self._read()
        if facts is None:
            return [f"{SUMS} is damaged or missing: 'twoface index update' writes it anew"] if whole else []
        there, writing, problems = self._there(), facts["writing"], []
        for name, (size, digest) in facts["files"].items():
            if writing and (name in self._files or name not in there):
                continue
            if name not in there:
                problems.append(f"{name} is missing")
            elif there[name] != size or (whole and self._about(name)[1] != digest):
                problems.append(f"{name} is damaged")
        return problems

    def _there(self) -> dict[str, int]:
        """-> {name: bytes}."""
        walks = [os.walk(self._folder / table) for table in self._tables]
        paths = [Path(folder) / name for walk in walks for folder, _, names in walk for name in names if name != HINT]
        sizes = {}
        for path in sorted(paths) + [self._folder / name for name in self._files]:
            with contextlib.suppress(FileNotFoundError):  # a writer has just removed it, or there is none yet
                sizes[path.relative_to(self._folder).as_posix()] = path.stat().st_size
        return sizes

    def _about(self, name: str) -> list[Any]:
        with open(self._folder / name, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            return [file.tell(), digest]

    def _read(self) -> dict[str, Any] | None:
        """None when it is damaged or missing."""
        try:
            return unseal((self._folder / SUMS).read_text())
        except (OSError, ValueError):
            return None

    def _write(self, files: dict[str, list[Any]], writing: bool) -> None:
        write_aside(self._folder / SUMS, seal({"writing": writing, "files": files}).encode(), force=True)


def _digest(facts: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
