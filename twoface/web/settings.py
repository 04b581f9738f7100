"""What `twoface web` can be told, with its defaults."""

from dataclasses import dataclass
from pathlib import Path

from twoface.core.errors import InputError
from twoface.serving.connections import is_loopback

INDEX_MEMORY = 4_000_000_000  # bytes that a worker may map for indexes: what reads them reserves more than it uses


@dataclass(frozen=True)
class Settings:
    """The options of `twoface web`. Times are in seconds, sizes in bytes.

    auth: a file of passwords, one a line. backend: the URL of a `twoface serve` that answers instead of the embedded
    engine; backend_key: a file with its API key. proxies: addresses whose `X-Forwarded-For` tells who asks, since
    passwords that are tried out are counted by address. indexes: of faces (`twoface index`), to find references in.
    memory: what a worker process may map, code and networks included, but for its indexes.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    auth: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    backend: str | None = None
    backend_key: Path | None = None
    proxies: tuple[str, ...] = ("127.0.0.1", "::1")
    indexes: tuple[str, ...] = ()
    workers: int = 1
    photo_bytes: int = 40_000_000
    request_bytes: int = 4_000_000
    pixels: int = 50_000_000
    references: int = 8
    timeout: float = 60.0
    receive_timeout: float = 20.0
    concurrency: int = 16
    queue: int = 16
    memory: int = 4_000_000_000
    drain: float = 10.0

    def __post_init__(self) -> None:
        if not self.auth and not is_loopback(self.host):
            raise InputError(f"{self.host} can be reached by others: give --auth FILE, or use --host 127.0.0.1")
        if (self.tls_cert is None) != (self.tls_key is None):
            raise InputError("TLS needs both --tls-cert and --tls-key")

    @property
    def worker_memory(self) -> int:
        """Bytes of address space that a worker process may map."""
        return self.memory + (INDEX_MEMORY if self.indexes else 0)
