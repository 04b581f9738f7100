"""`POST /v1/references`, for `twoface serve --index`: which photos of an index are the best references for a hole.

The answer tells paths on the server, never pictures. The work is done in a process of its own.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import cv2
from fastapi import APIRouter, File, Form, Request, UploadFile
from pydantic import BaseModel, Field

from twoface.core.errors import TwoFaceError
from twoface.core.frame import Frame
from twoface.core.parts import parse_hole
from twoface.service.photo_tasks import read_pictures
from twoface.service.photos import READS, RESPONSES, SQUARE, FormRoute, finite
from twoface.service.rest import timeout_of
from twoface.service.settings import Settings
from twoface.serving.pool import Pool
from twoface.serving.requests import until_disconnect

PATHS = ("/v1/references",)
CHECK_INTERVAL, CHECK_TIMEOUT = 3.0, 10.0  # seconds between two checks that the index can be reached, and for one

log = logging.getLogger(__name__)


class CandidateFound(BaseModel):
    """As `twoface.search.collection.Candidate` says."""

    path: str = Field(description="of the photo, on the server")
    frame: tuple[float, float, float, float, float] = Field(description="its face, to be sent as a reference's face")
    identity: str = Field(description="by the folder's name, or empty")
    similarity: float = Field(description="cosine, the same hole in both")
    first_similarity: float = Field(description="cosine to what the index keeps of the whole face")
    probability: float = Field(description="that it is the same person")
    verdict: Literal["same", "maybe", "nobody"]
    quality: float = Field(description="what it can give to the hole, 0..1: the product of the parts")
    parts: dict[str, float] = Field(description="visible, pose, expression, sharp, size; 1 is best")
    face: int = Field(description="its number in the photo, the largest 0")
    person: str = Field(description="of `index people`, by name or number, or empty")


class ReferencesAnswer(BaseModel):
    """The candidates, the best first, and what was searched."""

    candidates: list[CandidateFound]
    verdict: Literal["same", "maybe", "nobody"]
    verdict_text: str
    faces: int = Field(description="in the index")
    left_out: dict[str, int] = Field(description="the photo itself and copies of it; photos that cannot be read")
    face: tuple[float, float, float, float, float] = Field(description="the frame that was searched")
    seconds: dict[str, float]
    person: str = Field(description="who was found, by name or number, or empty")


@dataclass(frozen=True)
class ReferencesTask:
    """photo, mask: files' bytes. The rest as of `twoface.search.collection.Collection.references`."""

    photo: bytes
    mask: bytes | None
    hole: str | tuple[int, ...] | None
    face: Frame | None
    k: int
    center_size: int


def setup_worker(
    index: str, model: Path | None, threads: int | None, max_pixels: int
) -> Callable[[ReferencesTask | None], Any]:
    """What the process sets up -> its function of a task."""
    from twoface.search.collection import Collection

    cv2.setNumThreads(threads or 2)
    collection = Collection.open(index, model, threads)

    def do(task: ReferencesTask | None) -> Any:
        if task is None:
            return collection.reach()
        photo, mask = read_pictures(task.photo, task.mask, max_pixels)
        found = collection.references(photo, task.face, mask, task.k, hole=task.hole, center_size=task.center_size)
        return found.report()

    return do


def make_pool(settings: Settings) -> Pool:
    """The process that searches -> Pool. It uses the network that was there at the start: it only fills to search."""
    assert settings.index is not None
    model = settings.model if settings.model and settings.model.is_file() else None
    setup = partial(setup_worker, settings.index, model, settings.threads, settings.photo_pixels)
    return Pool(setup, 1, settings.photo_queue)


class Watch:
    """Checks periodically that the index can be reached; `reachable` is the last result."""

    def __init__(self, pool: Pool) -> None:
        self.reachable, self._pool = True, pool

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            try:
                await self._pool.call(None, CHECK_TIMEOUT)
                self.reachable = True
            except (TwoFaceError, OSError) as error:  # the system's, of an index on a disk that is away
                if self.reachable and (isinstance(error, OSError) or error.code == "backend_away"):
                    log.warning("not ready: %s", error)
                    self.reachable = False
            await asyncio.sleep(CHECK_INTERVAL)


def router(pool: Pool, settings: Settings) -> APIRouter:
    """The route -> APIRouter."""
    routes = APIRouter(prefix="/v1", tags=["photos"], responses=RESPONSES, route_class=FormRoute)

    @routes.post("/references", summary="Find references for a photo in the index", response_model=ReferencesAnswer)
    async def references(
        request: Request,
        photo: Annotated[UploadFile, File(description=READS)],
        mask: Annotated[UploadFile | None, File(description="of the photo's size, white where it is covered")] = None,
        hole: Annotated[str | None, Form(description="instead of a mask: eyes, nose, ..., or X0,Y0,X1,Y1")] = None,
        face: Annotated[str | None, Form(description=f"the face {SQUARE}; else found")] = None,
        k: Annotated[int, Form(ge=1, le=50, description="how many candidates")] = 10,
        center_size: Annotated[int, Form(ge=1, le=128, description="of the hole 'center', of 128")] = 64,
    ) -> Any:
        task = ReferencesTask(
            photo=await photo.read(),
            mask=None if mask is None else await mask.read(),
            hole=parse_hole(finite("hole", hole)) if hole else None,
            face=Frame.parse(finite("face", face)) if face else None,
            k=k,
            center_size=center_size,
        )
        timeout = min(settings.timeout, timeout_of(request) or settings.timeout)
        return await until_disconnect(request, pool.call(task, timeout))

    return routes
