"""The routes of the API (docs/web.md). They check and translate; `twoface.web.tasks` does the work, in the workers."""

import base64
import binascii
import logging
from collections.abc import Awaitable, Callable
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, Depends, Query, Request
from fastapi import Path as PathParam
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from starlette.responses import Response

import twoface
from twoface.core.errors import InputError, TwoFaceError
from twoface.core.frame import SIZE, TURN, Frame
from twoface.core.parts import HOLES
from twoface.serving.pool import Pool
from twoface.serving.requests import read_body, until_disconnect
from twoface.web import tasks
from twoface.web.library import names
from twoface.web.settings import Settings

Id = Annotated[str, StringConstraints(pattern="^[0-9a-f-]{1,64}$")]
Number = Annotated[int, PathParam(ge=0)]
CropSize = Annotated[int, Query(ge=16, le=512)]
Wider = Annotated[float, Field(ge=1, le=4)]  # the side of the square that is drawn over, of the frame's
Place = Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)]
Ask = Callable[..., Awaitable[Any]]  # has a worker do a task: `router.ask`
log = logging.getLogger(__name__)
SUFFIX = {"png": "png", "jpeg": "jpg", "webp": "webp", "tiff": "tif"}
SAMPLES = [
    {"id": "sunglasses", "photo": "sunglasses.jpg", "reference": "reference.jpg"},
    {"id": "scratch", "photo": "scratch.jpg", "reference": "reference.jpg"},
    {"id": "stranger", "photo": "sunglasses.jpg", "reference": "stranger.jpg"},
]


class SentFrame(BaseModel):
    """A square of a photo, as the page sends it."""

    model_config = ConfigDict(extra="forbid")
    x: Place
    y: Place
    side: Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)]
    angle: Annotated[float, Field(ge=-TURN, le=TURN, allow_inf_nan=False)] = 0.0

    def plain(self) -> Frame:
        return Frame(self.x, self.y, self.side, self.angle)


class Reference(BaseModel):
    """frame: None takes the face that is most like the photo's."""

    model_config = ConfigDict(extra="forbid")
    photo: Id
    frame: SentFrame | None = None


class Fill(BaseModel):
    """mask: base64 of a square picture, white = to be filled, drawn over a square about the frame.

    wider: the side of that square, of the frame's. same_photo: as of `Inpainter.fill`.
    """

    model_config = ConfigDict(extra="forbid")
    photo: Id
    frame: SentFrame
    mask: str
    wider: Wider = 1.0
    references: list[Reference] = []
    same_photo: bool = False


class Search(BaseModel):
    """mask, wider: as of `Fill`; index: its number in the status."""

    model_config = ConfigDict(extra="forbid")
    photo: Id
    frame: SentFrame
    mask: str
    wider: Wider = 1.0
    index: Annotated[int, Field(ge=0)]


class Name(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: Annotated[str, StringConstraints(max_length=100)]


class Merge(BaseModel):
    """people: numbers of those whose faces go to the person asked."""

    model_config = ConfigDict(extra="forbid")
    people: Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=1, max_length=1000)]


class Move(BaseModel):
    """faces: keys; to: the number of the person whose they are, null for a new one."""

    model_config = ConfigDict(extra="forbid")
    faces: Annotated[list[Id], Field(min_length=1, max_length=10_000)]
    to: Annotated[int, Field(ge=1)] | None = None


def router(pool: Pool, settings: Settings, ready: Callable[[], Awaitable[bool]]) -> APIRouter:
    """-> APIRouter. pool: of `tasks.setup_worker`; ready: async () -> whether a fill would be answered now."""
    api = APIRouter(prefix="/api")

    async def ask(request: Request, task: str, **arguments: Any) -> Any:
        """Have a worker do a task for this session; it is dropped when the browser no longer waits for it."""
        await request.body()
        session = request.state.session
        call = pool.call((task, {"session": session, **arguments}), settings.timeout, key=session)
        return await until_disconnect(request, call)

    _add_status(api, settings, ready)
    _add_photos(api, ask)
    _add_searches(api, ask, len(settings.indexes))
    _add_people(api, ask, len(settings.indexes))
    _add_fills(api, ask, settings.references)
    return api


def _add_status(api: APIRouter, settings: Settings, ready: Callable[[], Awaitable[bool]]) -> None:
    async def is_ready() -> bool:
        try:
            return await ready()
        except TwoFaceError as error:
            log.warning("%s", error)
            return False

    @api.get("/status", response_model=None)
    async def status() -> dict[str, Any]:
        return {
            "version": twoface.__version__,
            "backend": settings.backend,
            "locked": settings.auth is not None,
            "ready": await is_ready(),
            "limits": {
                "bytes": settings.photo_bytes,
                "pixels": settings.pixels,
                "references": settings.references,
                "min_face": tasks.MIN_FACE,
                "good_face": tasks.GOOD_FACE,
            },
            "indexes": names(settings.indexes),
            "samples": SAMPLES,
        }


def _add_photos(api: APIRouter, ask: Ask) -> None:
    @api.post("/photos", response_model=None)
    async def add_photo(request: Request, name: str = "") -> dict[str, Any]:
        return await ask(request, "add_photo", name=_clean(name), data=await read_body(request))

    @api.get("/photos/{photo}/preview")
    async def preview(request: Request, photo: Id, side: Annotated[int, Query(ge=16, le=65500)] = 1600) -> Response:
        return _picture(await ask(request, "preview", photo=photo, side=side), "jpeg")

    @api.get("/photos/{photo}/crop")
    async def crop(
        request: Request,
        photo: Id,
        frame: Annotated[SentFrame, Depends()],
        size: Annotated[int, Query(ge=16, le=2048)] = 512,
    ) -> Response:
        form = "png" if size == SIZE else "webp"
        return _picture(await ask(request, "crop", photo=photo, frame=frame.plain(), size=size), form)

    @api.get("/photos/{photo}/holes/{name}")
    async def hole(
        request: Request,
        photo: Id,
        name: Literal[HOLES],  # type: ignore[valid-type]  # the names of a table
        frame: Annotated[SentFrame, Depends()],
        size: Annotated[int, Query(ge=16, le=1024)] = 512,
        wider: Wider = 1.0,
    ) -> Response:
        return _picture(
            await ask(request, "hole", photo=photo, frame=frame.plain(), name=name, size=size, wider=wider), "png"
        )

    @api.get("/photos/{photo}/cover", response_model=None)
    async def cover(
        request: Request,
        photo: Id,
        frame: Annotated[SentFrame, Depends()],
        size: Annotated[int, Query(ge=16, le=1024)] = 512,
        wider: Wider = 1.0,
    ) -> dict[str, Any]:
        return await ask(request, "cover", photo=photo, frame=frame.plain(), size=size, wider=wider)

    @api.delete("/photos/{photo}", status_code=204)
    async def forget(request: Request, photo: Id) -> None:
        await ask(request, "forget", photo=photo)


def _add_searches(api: APIRouter, ask: Ask, indexes: int) -> None:
    """indexes: how many there are."""

    @api.post("/search", response_model=None)
    async def search(request: Request, wanted: Search) -> dict[str, Any]:
        _check_index(wanted.index, indexes)
        return await ask(
            request,
            "search",
            photo=wanted.photo,
            frame=wanted.frame.plain(),
            mask=_decoded(wanted.mask),
            wider=wanted.wider,
            index=wanted.index,
        )

    @api.get("/searches/{search}/{number}/crop")
    async def candidate_crop(
        request: Request, search: Id, number: Number, size: Annotated[int, Query(ge=16, le=512)] = 192
    ) -> Response:
        return _picture(await ask(request, "candidate_crop", search=search, number=number, size=size), "webp")

    @api.post("/searches/{search}/{number}", response_model=None)
    async def add_candidate(request: Request, search: Id, number: Number) -> dict[str, Any]:
        return await ask(request, "add_candidate", search=search, number=number)


def _add_people(api: APIRouter, ask: Ask, indexes: int) -> None:
    """indexes: how many there are."""
    place = "/indexes/{index}/people"

    async def people(request: Request, index: int, what: str, **arguments: Any) -> dict[str, Any]:
        _check_index(index, indexes)
        return await ask(request, "people", index=index, what=what, **arguments)

    async def crop(request: Request, index: int, size: int, **which: Any) -> Response:
        _check_index(index, indexes)
        return _picture(await ask(request, "person_crop", index=index, size=size, **which), "webp")

    @api.get(place, response_model=None)
    async def overview(request: Request, index: Number) -> dict[str, Any]:
        return await people(request, index, "overview")

    @api.post(place, response_model=None)
    async def group(request: Request, index: Number) -> dict[str, Any]:
        return await people(request, index, "group")

    @api.delete(place, response_model=None)
    async def clear(request: Request, index: Number) -> dict[str, Any]:
        return await people(request, index, "clear")

    @api.get(f"{place}/{{number}}", response_model=None)
    async def person(request: Request, index: Number, number: Number) -> dict[str, Any]:
        return await people(request, index, "person", number=number)

    @api.post(f"{place}/{{number}}/name", response_model=None)
    async def name(request: Request, index: Number, number: Number, wanted: Name) -> dict[str, Any]:
        return await people(request, index, "name", number=number, name=wanted.name)

    @api.post(f"{place}/{{number}}/merge", response_model=None)
    async def merge(request: Request, index: Number, number: Number, wanted: Merge) -> dict[str, Any]:
        return await people(request, index, "merge", number=number, others=wanted.people)

    @api.post(f"{place}/{{number}}/move", response_model=None)
    async def move(request: Request, index: Number, number: Number, wanted: Move) -> dict[str, Any]:
        return await people(request, index, "move", number=number, keys=wanted.faces, to=wanted.to)

    @api.get(f"{place}/{{number}}/crop")
    async def cover(request: Request, index: Number, number: Number, size: CropSize = 128) -> Response:
        return await crop(request, index, size, number=number)

    @api.get(f"{place}/{{number}}/faces/{{key}}/crop")
    async def face(request: Request, index: Number, number: Number, key: Id, size: CropSize = 128) -> Response:
        return await crop(request, index, size, number=number, key=key)


def _check_index(index: int, indexes: int) -> None:
    if index >= indexes:
        raise InputError(f"there is no index {index}: the status lists them", code="bad_request")


def _add_fills(api: APIRouter, ask: Ask, most: int) -> None:
    """most: references in one fill."""

    @api.post("/fill", response_model=None)
    async def fill(request: Request, wanted: Fill) -> dict[str, Any]:
        if len(wanted.references) > most:
            raise InputError(f"at most {most} references are taken", code="bad_request")
        return await ask(
            request,
            "fill",
            photo=wanted.photo,
            frame=wanted.frame.plain(),
            mask=_decoded(wanted.mask),
            wider=wanted.wider,
            references=[(each.photo, each.frame and each.frame.plain()) for each in wanted.references],
            same_photo=wanted.same_photo,
        )

    @api.get("/fills/{fill}/patch")
    async def patch(request: Request, fill: Id) -> Response:
        return _picture(await ask(request, "patch", fill=fill), "png")

    @api.get("/fills/{fill}/crop/{name}")
    async def fill_crop(request: Request, fill: Id, name: Literal["masked", "filled", "reference"]) -> Response:
        return _picture(await ask(request, "fill_crop", fill=fill, name=name), "png")

    @api.get("/fills/{fill}/photo")
    async def finished(
        request: Request,
        fill: Id,
        format: Literal[tuple(SUFFIX)] = "png",  # type: ignore[valid-type]  # the names of a table
        quality: Annotated[int | None, Query(ge=1, le=100)] = None,
        location: bool = True,
    ) -> Response:
        name, data = await ask(
            request, "finished", fill=fill, format=format.upper(), quality=quality, location=location
        )
        return _picture(data, format, {"content-disposition": _attachment(name, SUFFIX[format])})

    @api.post("/fills/{fill}/photo", response_model=None)
    async def add_filled(request: Request, fill: Id) -> dict[str, Any]:
        return await ask(request, "add_filled", fill=fill)


def _picture(data: bytes, form: str, headers: dict[str, str] | None = None) -> Response:
    return Response(data, headers=headers, media_type=f"image/{form}")


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InputError(f"the mask must be base64 of a picture: {error}", code="bad_request") from error


def _clean(name: str) -> str:
    """A file's name for messages and downloads: its last part, only what can be printed, not too long."""
    name = "".join(letter for letter in name.replace("\\", "/").rpartition("/")[2] if letter.isprintable())
    return name.strip(" .")[-120:] or "photo"


def _attachment(name: str, suffix: str) -> str:
    stem = PurePosixPath(name).stem
    return f"attachment; filename=\"filled.{suffix}\"; filename*=UTF-8''{quote(f'{stem}-filled.{suffix}', safe='')}"
