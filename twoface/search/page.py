"""A search's answer as one HTML page. Its thumbnails are read from the photos now: the index holds none."""

import base64
from pathlib import Path

import cv2
from jinja2 import Environment, PackageLoader, select_autoescape

from twoface.errors import TwoFaceError
from twoface.faces import crop, frame_transform
from twoface.files import write_aside
from twoface.images import read_photo
from twoface.search.rank import VERDICTS


def write_page(answer, photo, out, force=False):
    """answer: what `Collection.references` gave for the photo (a path) -> Path. Raises InputError as `write_aside`."""
    environment = Environment(
        loader=PackageLoader("twoface.search", "."), autoescape=select_autoescape(default=True), trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    page = environment.get_template("page.html").render(
        answer=answer,
        name=Path(photo).name,
        query=_thumbnail(photo, answer.face),
        pictures=[_thumbnail(candidate.path, candidate.frame) for candidate in answer.candidates],
        verdicts=VERDICTS,
    )
    return write_aside(out, page.encode(), force)


def _thumbnail(path, frame):
    """The face as a data URL; "" when the photo has gone since."""
    try:
        aligned = crop(read_photo(path).pixels, frame_transform(frame))
    except (TwoFaceError, OSError):
        return ""
    _, encoded = cv2.imencode(".jpg", aligned[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])
    return "data:image/jpeg;base64," + base64.b64encode(encoded.tobytes()).decode()
