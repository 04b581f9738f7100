"""What `twoface serve` can be told, with its defaults."""

from dataclasses import dataclass
from pathlib import Path

from twoface.core.errors import InputError
from twoface.core.faces import SIZE
from twoface.serving.connections import is_loopback

VALUES_A_ROW = 7 * SIZE * SIZE  # image, mask and reference
LETTERS_A_VALUE = 26  # of JSON: the longest double and its comma


@dataclass(frozen=True)
class Settings:
    """The options of `twoface serve`; each is documented there and in docs/serving.md.

    model: an ONNX file, or a folder with one in a folder for each version (1/model.onnx); None: the one that ships.
    batch_wait: seconds that a crop waits for others to fill its batch. queue: crops that may wait for the network.
    rows: crops in one request. photo_workers: processes of the photo API, 0 for none of it; photo_queue: calls that
    may wait for one; photo_bytes: the largest form; photo_pixels: of one picture; photo_memory: address space of a
    process. index: of faces, for `/v1/references` (`twoface.search.store.open_store`). Times are in seconds, sizes in
    bytes.
    """

    model: Path | None = None
    host: str = "127.0.0.1"
    port: int = 8000
    grpc_port: int | None = 8001
    api_keys: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    cors: tuple[str, ...] = ()
    device: str = "cpu"
    threads: int | None = None
    batch_size: int = 4
    batch_wait: float = 0.0
    queue: int = 64
    rows: int = 16
    concurrency: int = 256
    timeout: float = 60.0
    receive_timeout: float = 20.0
    drain: float = 30.0
    watch: float = 2.0
    photo_workers: int = 1
    photo_queue: int = 16
    photo_bytes: int = 64_000_000
    photo_pixels: int = 50_000_000
    photo_memory: int | None = 6_000_000_000
    index: str | None = None

    def __post_init__(self) -> None:
        if not self.api_keys and not is_loopback(self.host):
            raise InputError(f"{self.host} can be reached by others: give --api-key FILE, or serve on 127.0.0.1")
        if (self.tls_cert is None) != (self.tls_key is None):
            raise InputError("TLS needs both --tls-cert and --tls-key")

    @property
    def body_bytes(self) -> int:
        """The largest body of a tensor door: the JSON of `rows` crops in full precision."""
        return self.rows * VALUES_A_ROW * LETTERS_A_VALUE + 65536

    @property
    def largest_body(self) -> int:
        """The largest body of any door."""
        return max(self.body_bytes, self.photo_bytes)

    @property
    def message_bytes(self) -> int:
        """The largest gRPC message: `rows` crops in float64."""
        return self.rows * VALUES_A_ROW * 8 + 65536
