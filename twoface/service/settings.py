"""What `twoface serve` can be told, with its defaults."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from twoface.core.errors import InputError
from twoface.serving.settings import check_access, option

ORIGIN = re.compile(r"\*|null|[a-z][a-z0-9+.-]*://[^/?#@\sA-Z]+")  # as browsers send it, or *
WAIT = "how long a crop waits for its batch to fill (default %(default)s: batch what is queued)"


@dataclass(frozen=True)
class Settings:
    """The options of `twoface serve` (docs/serving.md), and limits that are no options. Times are in seconds, sizes in
    bytes.

    photo_queue: calls that may wait for a process of the photo API; photo_bytes: the largest form; photo_pixels: of
    one picture; photo_memory: address space of a process. watch: between two looks at the model's files.
    """

    model: Path | None = option(None, "an ONNX file, or a folder of versions (default: what ships)", "PATH")
    host: str = option("127.0.0.1", "default %(default)s; any other needs --api-key", "ADDRESS")
    port: int = option(8000, "HTTP port (default %(default)s; 0: any free)", "N", 0, 65535)
    grpc_port: int | None = option(8001, "gRPC port (default %(default)s)", "N", 0, 65535)
    api_keys: Path | None = option(None, "keys, one a line, read again when the file changes", "FILE", name="api-key")
    tls_cert: Path | None = option(None, "certificate chain, for HTTPS and gRPC", "FILE.pem")
    tls_key: Path | None = option(None, "its private key", "FILE.pem")
    cors: tuple[str, ...] = option((), "allow browser requests from this origin (default none)", "ORIGIN")
    device: Literal["cpu", "cuda"] = option("cpu", "device of the network (default %(default)s)")
    threads: int | None = option(None, "number of CPU threads (default: all cores)", "N", 1)
    batch_size: int = option(4, "largest batch, in crops (default %(default)s)", "N", 1)
    batch_wait: float = option(0, WAIT, "MS", name="batch-wait-ms", unit=0.001)
    queue: int = option(64, "queue length, in crops (default %(default)s)", "N", 1)
    rows: int = option(16, "most crops in one request (default %(default)s)", "N", 1, 256)
    concurrency: int = 256
    timeout: float = option(60, "time limit of a request (default %(default)s)", "S", 0.001)
    receive_timeout: float = 20.0
    drain: float = option(30, "time to finish running requests at shutdown (default %(default)s)", "S")
    watch: float = 2.0
    photo_workers: int = option(1, "processes of the photo API (default %(default)s), about 0.5 GB each", "N")
    photo_queue: int = 16
    photo_bytes: int = 64_000_000
    photo_pixels: int = 50_000_000
    photo_memory: int | None = 6_000_000_000
    index: str | None = option(None, "a face index (see `twoface index`): adds POST /v1/references", "INDEX")

    def __post_init__(self) -> None:
        check_access(self, self.api_keys, "give --api-key FILE, or serve on 127.0.0.1")
        for origin in self.cors:
            if not ORIGIN.fullmatch(origin):
                told = "give it as browsers send it, such as https://example.org, in small letters and without a path"
                raise InputError(f"--cors {origin!r} is no origin: {told}; or * for every page")
