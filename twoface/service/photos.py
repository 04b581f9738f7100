"""The photo API, for people who do not want tensors: whole photos in, filled photos and faces out.

The work is done in processes of `twoface.service.photo_tasks`, by the same core as `twoface fill`. A photo stays in
memory, and no name that came with a file is used for anything.
"""

import asyncio
import base64
import difflib
import json
import logging
import sys
from collections.abc import Awaitable, Callable, Collection, Container, Coroutine, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, get_origin

from fastapi import APIRouter, File, Form, Query, Request, UploadFile, params
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field
from pydantic.fields import FieldInfo
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.responses import Response

from twoface.core.errors import InputError, TwoFaceError, Unavailable
from twoface.core.frame import Frame
from twoface.core.parts import parse_hole
from twoface.core.workers import cores_each
from twoface.service.photo_tasks import FacesTask, FillTask, setup_worker
from twoface.service.rest import ERROR, ERRORS, timeout_of
from twoface.service.settings import Settings
from twoface.serving.pool import Pool, Setup
from twoface.serving.requests import check_encoding, until_disconnect

PATHS = ("/v1/fill", "/v1/faces")
REPORT = "X-Two-Face-Report"
MAX_REFERENCES = 8
ALIASES = {"reference": "references", "reference_face": "reference_faces"}  # the words of `twoface fill`
Format = Literal["jpeg", "png", "webp", "tiff"]
FORMATS: dict[Format, str] = {"jpeg": "JPEG", "png": "PNG", "webp": "WEBP", "tiff": "TIFF"}
READS = "JPEG, PNG, WebP, HEIC, AVIF, TIFF, BMP or GIF"
JSON = "application/json"
PICTURE = {"schema": {"type": "string", "format": "binary"}}
SQUARE = "as a square X0,Y0,X1,Y1 in pixels, and a fifth number, degrees clockwise, where it is turned"
Work = Callable[[Request, FillTask | FacesTask], Awaitable[Any]]
RESPONSES: dict[int | str, dict[str, Any]] = {
    **ERRORS,
    413: {"description": "The body, or a picture in it, is too large", **ERROR},
    415: {"description": "The body is no multipart form, or a file in it no picture that can be read", **ERROR},
    422: {"description": "A field is missing or wrong, a picture is damaged, or there is no face in it", **ERROR},
}

log = logging.getLogger(__name__)


class FaceFound(BaseModel):
    """box: as detected. frame: the square that becomes the crop, X0,Y0,X1,Y1 and degrees, to be sent as `face`."""

    box: tuple[float, float, float, float]
    frame: tuple[float, float, float, float, float]
    score: float
    landmarks: list[tuple[float, float]] = Field(description="eyes, nose, mouth's corners")


class FacesAnswer(BaseModel):
    """The photo's size in pixels, upright, and its faces, the largest first."""

    width: int
    height: int
    faces: list[FaceFound]


class FillAnswer(BaseModel):
    """picture: the filled photo in base64. report: as `twoface fill --report` writes it."""

    picture: str
    format: Format
    report: dict[str, Any]


class PhotoWorkers:
    """The processes of the photo API. They use the network that the service answers with, and follow when it changes.

    Use it as `async with`, after `follow` has been told the first network.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._model: Path | None = None
        self._changed, self._replacing = asyncio.Event(), asyncio.Lock()
        self._pool: Pool | None = None
        self._following: asyncio.Task[None] | None = None

    def follow(self, model: Path) -> None:
        """Use this ONNX file from now on: what `Engine.switched` calls."""
        self._model = model
        self._changed.set()

    async def do(self, task: FillTask | FacesTask, seconds: float | None = None) -> Any:
        """A task's result. seconds: how long it is of use; a process that works is not killed for that.

        Raises what the task raises, and what `Pool.call` does.
        """
        assert self._pool is not None  # inside `async with`
        try:
            async with asyncio.timeout(seconds):
                return await self._pool.call(task, self._settings.timeout)
        except TimeoutError as error:
            raise Unavailable("the time that was given has passed", code="timeout") from error

    async def __aenter__(self) -> "PhotoWorkers":
        settings = self._settings
        pool = Pool(self._setup(), settings.photo_workers, settings.photo_queue, settings.photo_memory)
        await pool.start()
        self._pool, self._following = pool, asyncio.ensure_future(self._follow())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._pool is not None and self._following is not None
        async with self._replacing:
            self._following.cancel()
        await self._pool.close(self._settings.drain)

    def _setup(self) -> Setup:
        self._changed.clear()
        threads = self._settings.threads or cores_each(self._settings.photo_workers)
        return partial(setup_worker, self._model, threads, self._settings.photo_pixels)

    async def _follow(self) -> None:
        assert self._pool is not None
        while True:
            await self._changed.wait()
            async with self._replacing:
                try:
                    await self._pool.replace(self._setup())
                except (TwoFaceError, OSError) as error:
                    log.error("the photo API stays with the network it has: %s", error)


class FormRoute(APIRoute):
    """Reads the form before FastAPI does, and refuses what FastAPI would pass over: fields that nobody knows."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        known = {field.alias: field.field_info for field in self.dependant.body_params}
        asked = {field.alias for field in self.dependant.query_params}

        async def look_first(request: Request) -> Response:
            if not request.headers.get("content-type", "").strip().lower().startswith("multipart/form-data"):
                raise InputError("send a form, multipart/form-data: curl -F does", code="content_type")
            check_encoding(request)
            for name in request.query_params:
                _check_known(name, asked, "query parameter")
            request._form = await _read_form(request, known)  # which FastAPI then takes
            return await handle(request)

        return look_first


class _Parts(MultiPartParser):
    """A part in the place of a file is one, though no file name came with it. files: the fields that are files."""

    spool_max_size = sys.maxsize  # photos stay in memory, where `Limits` bounds them: no file of them is left

    def __init__(self, *arguments: Any, files: Container[str], **limits: Any) -> None:
        super().__init__(*arguments, **limits)
        self._files = files

    def on_headers_finished(self) -> None:
        disposition = self._current_part.content_disposition or b""
        options = parse_options_header(disposition)[1]
        if options.get(b"name", b"").decode("latin-1") in self._files and b"filename" not in options:
            self._current_part.content_disposition = disposition + b'; filename=""'
        super().on_headers_finished()


async def _read_form(request: Request, known: Mapping[str, FieldInfo]) -> FormData:
    """The form's fields under the names that the route knows -> FormData. Raises InputError."""
    names = {**known} | {alias: known[name] for alias, name in ALIASES.items() if name in known}
    files = {name for name, field in names.items() if isinstance(field, params.File)}
    limits = {"max_files": MAX_REFERENCES + 2, "max_fields": 2 * MAX_REFERENCES + 16}
    try:
        form = await _Parts(request.headers, request.stream(), files=files, **limits).parse()
    except MultiPartException as error:
        raise InputError(f"the multipart form cannot be read: {error.message}") from error
    fields: list[tuple[str, Any]] = []
    for name, value in form.multi_items():
        _check_known(name, names, "field")
        if name in files and not isinstance(value, str) and not (value.size or value.filename):
            continue  # what a browser sends of a file that was not chosen
        fields.append((ALIASES.get(name, name), value))
    _check_single([name for name, _ in fields], known)
    return FormData(fields)


def _check_known(name: str, known: Collection[str], kind: str) -> None:
    if name not in known:
        near = difflib.get_close_matches(name, known, 1, 0.0)
        advice = f"did you mean {near[0]!r}?" if near else "there is none here"
        raise InputError(f"unknown {kind} {name[:40]!r}: {advice}", code="unknown_field")


def finite(name: str, text: str) -> str:
    """A box in a form's field, as it is. Raises InputError for NaN in it."""
    if "nan" in (part.strip().lower().lstrip("+-") for part in text.split(",")):
        raise InputError(f"{name} holds NaN, which is no place in a picture: give numbers")
    return text


def _check_single(names: list[str], known: Mapping[str, FieldInfo]) -> None:
    for name in set(names):
        if names.count(name) > 1 and get_origin(known[name].annotation) is not list:
            raise InputError(f"the field {name!r} is there {names.count(name)} times: once", code="field_twice")


def router(workers: PhotoWorkers, settings: Settings) -> APIRouter:
    """The routes of the photo API -> APIRouter. workers: `PhotoWorkers`."""
    routes = APIRouter(prefix="/v1", tags=["photos"], responses=RESPONSES, route_class=FormRoute)

    async def work(request: Request, task: FillTask | FacesTask) -> Any:
        return await until_disconnect(request, workers.do(task, timeout_of(request)))

    _add_fill(routes, work)
    _add_faces(routes, work)
    return routes


def _add_fill(routes: APIRouter, work: Work) -> None:
    pictures = {f"image/{name}": PICTURE for name in FORMATS}
    answers: dict[int | str, dict[str, Any]] = {
        200: {"model": FillAnswer, "description": f"The picture; {REPORT} holds the figures", "content": pictures}
    }

    @routes.post("/fill", summary="Fill a part of a face in a photo", responses=answers, response_class=Response)
    async def fill(
        request: Request,
        photo: Annotated[UploadFile, File(description=READS)],
        mask: Annotated[UploadFile | None, File(description="of the photo's size, white where to fill")] = None,
        hole: Annotated[str | None, Form(description="instead of a mask: auto, eyes, ..., or X0,Y0,X1,Y1")] = None,
        face: Annotated[str | None, Form(description=f"the face {SQUARE}; else found")] = None,
        references: Annotated[
            list[UploadFile],
            File(
                description="the same person; the one that shows most of the hole's part is used",
                max_length=MAX_REFERENCES,
            ),
        ] = [],  # noqa: B006 - FastAPI copies it
        reference_faces: Annotated[
            list[str], Form(description="none, or the face in each reference likewise; empty: found")
        ] = [],  # noqa: B006
        feather: Annotated[float | None, Form(ge=0, le=1000, description="width of the soft seam, pixels")] = None,
        center_size: Annotated[int, Form(ge=1, le=128, description="of the hole 'center', of 128")] = 64,
        same_photo: Annotated[bool, Form(description="use a reference that is a copy of the photo")] = False,
        format: Annotated[Format, Form(description="of the filled photo")] = "jpeg",
        quality: Annotated[
            int | None, Form(ge=1, le=100, description="of jpeg and webp; default: a JPEG's own, else 95")
        ] = None,
        answer: Annotated[
            Literal["picture", "json"] | None, Query(description="default: by Accept, else the picture")
        ] = None,
    ) -> Response:
        task = FillTask(
            photo=await photo.read(),
            mask=None if mask is None else await mask.read(),
            hole=parse_hole(finite("hole", hole)) if hole else None,
            face=Frame.parse(finite("face", face)) if face else None,
            references=[await reference.read() for reference in references],
            reference_faces=[Frame.parse(finite("reference_faces", text)) if text else None for text in reference_faces]
            or None,
            feather=feather,
            center_size=center_size,
            same_photo=same_photo,
            format=FORMATS[format],
            quality=quality,
        )
        picture, report = await work(request, task)
        if answer == "json" or (answer is None and _prefers_json(request)):
            text = base64.b64encode(picture).decode()
            return Response(FillAnswer(picture=text, format=format, report=report).model_dump_json(), 200, None, JSON)
        return Response(picture, headers={REPORT: json.dumps(report)}, media_type=f"image/{format}")


def _add_faces(routes: APIRouter, work: Work) -> None:
    @routes.post("/faces", summary="Find the faces in a photo", response_model=FacesAnswer)
    async def faces(request: Request, photo: Annotated[UploadFile, File(description=READS)]) -> Any:
        return await work(request, FacesTask(await photo.read()))


def _prefers_json(request: Request) -> bool:
    accepted = request.headers.get("accept", "").lower()
    return JSON in accepted and "image/" not in accepted
