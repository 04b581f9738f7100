"""Fill from an index: the best reference, or the best of several tried."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from twoface.core.errors import InputError
from twoface.core.fill_result import FillResult
from twoface.core.frame import FrameLike
from twoface.core.identity import face_view, similarity
from twoface.core.images import Photo, read_photo
from twoface.search.collection import Candidate, Collection
from twoface.search.rank import VERDICTS

KNOWN = 10  # candidates whose faces say what the person looks like


def fill_from(
    collection: Collection,
    photo: str | Path | bytes | Photo,
    tries: int = 1,
    *,
    face: FrameLike | None = None,
    feather: float | None = None,
    **hole: Any,
) -> tuple[FillResult, dict[str, Any]]:
    """Find references for a photo, fill it with the best -> (FillResult, what the search told, for a report: dict).

    tries: of so many best candidates each fills it once, and the result most alike to the person is kept: by the mean
    cosine to the faces of all who are as likely as the best, the one that filled it left out.
    face, feather and `mask` or `hole`, `center_size`: as of `Inpainter.fill`.
    A copy of the photo that the search took for another picture is passed over.
    Raises InputError, code "no_reference", when nobody in the index is like the face, or only copies are.
    """
    photo = photo if isinstance(photo, Photo) else read_photo(photo)
    answer = collection.references(photo, face, k=max(KNOWN, tries), **hole)
    if answer.verdict == "nobody":
        best = max((candidate.probability for candidate in answer.candidates), default=0)
        raise InputError(
            f"nobody in the index is like the face in {photo.name} (the likeliest of {answer.faces} faces has a"
            f" probability of {best:.2f}): give a --reference yourself",
            code="no_reference",
        )
    alike = [candidate for candidate in answer.candidates if candidate.verdict == answer.verdict]
    face, tried = answer.face if face is None else face, []
    for candidate in alike:
        given: dict[str, Any] = {"references": [candidate.path], "reference_face": [candidate.frame]}
        try:
            result = collection.inpainter.fill(photo, face=face, feather=feather, **given, **hole)
        except InputError as error:
            if error.code != "same_photo":
                raise
            continue
        tried.append((_likeness(collection, result, candidate, alike) if tries > 1 else None, result, candidate))
        if len(tried) == tries:
            break
    if not tried:
        text = f"all that is like the face in {photo.name} in the index are copies of it: give another reference"
        raise InputError(text, code="no_reference")
    likeness, result, used = max(tried, key=lambda item: item[0] or 0)
    told = f"{VERDICTS[used.verdict]} (probability {used.probability:.2f} among {answer.faces} faces)"
    told += f", the best of {len(tried)} tried" if len(tried) > 1 else ", the best found in the index"
    warnings = [*result.warnings]
    if used.verdict != "same":
        warnings.append(f"the reference that was found {VERDICTS[used.verdict]}: look at it before you use the result")
    search = answer.report() | {
        "used": used.path,
        "tried": [{"path": candidate.path, "likeness": value} for value, _, candidate in tried],
    }
    return dataclasses.replace(result, reference_why=told, warnings=warnings), search


def _likeness(collection: Collection, result: FillResult, used: Candidate, alike: list[Candidate]) -> float:
    """How alike the filled face is to the person's other photos that were found, or to the one used if it is alone."""
    others = [candidate for candidate in alike if candidate.path != used.path] or [used]
    views = [face_view(result.photo.pixels, result.frame)]
    views += [collection.view(candidate) for candidate in others]
    filled, *known = collection.embed(np.stack(views))
    return float(np.mean([similarity(filled, face) for face in known]))
