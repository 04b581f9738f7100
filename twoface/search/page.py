"""A search's answer, or the people of an index, as one HTML page.

The thumbnails are read from the photos now: the index holds none.
"""

import base64
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
from jinja2 import Environment, PackageLoader, Template, select_autoescape

from twoface.core.errors import TwoFaceError
from twoface.core.files import write_aside
from twoface.core.frame import Frame
from twoface.core.images import read_photo
from twoface.search.people import People
from twoface.search.rank import VERDICTS
from twoface.search.store import Store

if TYPE_CHECKING:
    from twoface.search.collection import Answer

SHOWN = 12  # faces of a person on the page of people


def write_page(answer: "Answer", photo: str | Path, out: str | Path, force: bool = False) -> Path:
    """answer: what `Collection.references` gave for the photo (a path) -> Path. Raises InputError as `write_aside`."""
    page = _template("page.html").render(
        answer=answer,
        name=Path(photo).name,
        query=_thumbnail(photo, answer.face),
        pictures=[_thumbnail(candidate.path, candidate.frame) for candidate in answer.candidates],
        verdicts=VERDICTS,
    )
    return write_aside(out, page.encode(), force)


def write_people_page(people: People, store: Store, out: str | Path, force: bool = False) -> Path:
    """people: a `twoface.search.people.People` of the store -> Path. The first `SHOWN` faces of each, by path."""
    shown = []
    for person in sorted(people.people.values(), key=lambda one: -len(one.faces)):
        places = sorted(person.faces)[:SHOWN]
        rows = {(row.path, row.face): row for row in store.faces("path", sorted({path for path, _ in places}))}
        shown.append((person, [(path, face, _thumbnail(path, rows[path, face].frame)) for path, face in places]))
    return write_aside(out, _template("people.html").render(people=shown).encode(), force)


def _template(name: str) -> Template:
    return Environment(
        loader=PackageLoader("twoface.search", "."), autoescape=select_autoescape(default=True), trim_blocks=True,
        lstrip_blocks=True,
    ).get_template(name)  # fmt: skip


def _thumbnail(path: str | Path, frame: Frame) -> str:
    """The face as a data URL; "" when the photo has gone since."""
    try:
        aligned = frame.crop(read_photo(path).pixels)
    except (TwoFaceError, OSError):
        return ""
    _, encoded = cv2.imencode(".jpg", aligned[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])
    return "data:image/jpeg;base64," + base64.b64encode(encoded.tobytes()).decode()
