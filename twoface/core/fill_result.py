"""What a fill gave: the filled photo, what it was made of, and its report."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from twoface.core.arrays import Mask, Picture, Points, Transform
from twoface.core.faces import Taken, rounded
from twoface.core.files import PathLike, check_output, write_aside
from twoface.core.frame import Frame
from twoface.core.images import Photo, encode_photo, losses, output_format
from twoface.core.occlusion import Cover
from twoface.core.outlook import Outlook
from twoface.core.verdict import NO_REFERENCE, Identity, Verdict


@dataclass(frozen=True)
class FillResult:
    """What a fill gave.

    photo: the whole Photo, filled. crop, masked_crop: uint8 (128, 128, 3). reference_crop, registered_crop: the same of
    the reference, upright as it is, and moved onto this face; None without one. mask_crop: bool (128, 128), the hole
    as the network saw it. mesh: (478, 3) in crop pixels, estimated where the hole hides it.
    frame: of the crop. hole: bool (H, W), what was filled. box: (x0, y0, x1, y1), ints: the part of the photo that may
    have changed.
    identity: how alike the result and the reference are; None without a reference. outlook: how real the fill is
    likely to look.
    cover: what was found in front of the face, with the hole "auto", else None.
    faces: which of the photo's faces it is. references: one {"name", "similarity_visible", "worth", "face",
    "faces", "copy"} for each given, worth as of `twoface.core.choice.Worth`, faces as of `Taken`, copy: whether it is
    the photo itself or a copy of it; reference_used: the index of the one used and reference_why. warnings: sentences
    for the user.
    timing: seconds by stage.
    """

    photo: Photo
    crop: Picture
    masked_crop: Picture
    mask_crop: Mask
    mesh: Points
    reference_crop: Picture | None
    registered_crop: Picture | None
    faces: Taken
    frame: Frame
    hole: Mask
    box: tuple[int, int, int, int]
    identity: Identity | None
    outlook: Outlook
    cover: Cover | None
    references: list[dict[str, Any]]
    reference_used: int | None
    reference_why: str
    warnings: list[str]
    timing: dict[str, float]

    @property
    def face(self) -> tuple[float, ...]:
        """Which face it is, as of `Taken`: a box that need not be square. What `fill` takes as `face` is `frame`."""
        return self.faces.face

    @property
    def transform(self) -> Transform:
        """Photo -> crop."""
        return self.frame.transform()

    @property
    def warning(self) -> str | None:
        """All warnings as one text, or None."""
        return " ".join(self.warnings) or None

    @property
    def verdict(self) -> Verdict:
        """Whether it is the reference's person."""
        return NO_REFERENCE if self.identity is None else self.identity.verdict

    def report(self, format: str | None = None) -> dict[str, Any]:
        """Everything but the pictures, ready for JSON. format: of the file, whose losses are warnings then."""
        x0, y0, width, height = cv2.boundingRect(self.hole.view(np.uint8))
        return {
            "photo": self.photo.name,
            "size": list(self.photo.size),
            "face": rounded(self.face),
            "faces": self.faces.report(),
            "transform": self.transform.tolist(),
            "hole": {"box": [x0, y0, x0 + width, y0 + height], "pixels": int(np.count_nonzero(self.hole))},
            "changed": list(self.box),
            "identity": {
                field.name: getattr(self.identity, field.name, None) for field in dataclasses.fields(Identity)
            },
            "verdict": self.verdict._asdict(),
            "outlook": self.outlook._asdict(),
            "found": None if self.cover is None else self.cover.report(),
            "references": self.references,
            "reference_used": self.reference_used,
            "reference_why": self.reference_why,
            "warnings": self.warnings + ([] if format is None else losses(self.photo, format)),
            "seconds": {stage: round(value, 4) for stage, value in self.timing.items()},
        }

    def save(self, path: PathLike, quality: int | None = None, force: bool = False) -> Path:
        """Write the filled photo, its format by the extension, as `encode_photo` does.

        quality: 1..100, of the lossy formats; None for the photo's own. Raises InputError as `encode_photo` and
        `write_aside`.
        """
        form = output_format(path)
        check_output(path, force)
        return write_aside(path, encode_photo(self.photo, form, quality), force)
