"""What `twoface web` can be told, with its defaults."""

import ipaddress
from dataclasses import dataclass
from pathlib import Path

from twoface.core.errors import InputError
from twoface.serving.settings import check_access, option

INDEX_MEMORY = 4_000_000_000  # bytes that a worker may map for indexes: what reads them reserves more than it uses
PROXIES = ("127.0.0.1", "::1")
TRUSTED = f"trust X-Forwarded-For from this reverse proxy ({' and '.join(PROXIES)} are trusted)"


@dataclass(frozen=True)
class Settings:
    """The options of `twoface web`, and limits that are no options. Times are in seconds, sizes in bytes.

    proxies: whose `X-Forwarded-For` tells who asks, since passwords that are tried out are counted by address; each an
    address, or a network such as 10.0.0.0/8.
    memory: what a worker process may map, code and networks included, but for its indexes.
    """

    host: str = option("127.0.0.1", "default %(default)s; any other needs --auth", "ADDRESS")
    port: int = option(8000, "default %(default)s; 0: any free", "N", 0, 65535)
    auth: Path | None = option(None, "require a password of this file: one a line, 16 letters or more", "FILE")
    tls_cert: Path | None = option(None, "certificate chain, for HTTPS", "FILE.pem")
    tls_key: Path | None = option(None, "its private key", "FILE.pem")
    backend: str | None = option(
        None, "a `twoface serve` that fills: http://, https://, grpc:// or grpcs://HOST:PORT", "URL"
    )
    backend_key: Path | None = option(None, "a file with its API key", "FILE")
    proxies: tuple[str, ...] = option(PROXIES, TRUSTED, "ADDRESS", name="proxy")
    indexes: tuple[str, ...] = option(
        (), "search references in this face index (see `twoface index`); repeat for more", "INDEX", name="index"
    )
    workers: int = option(1, "processes (default %(default)s), about 1 GB each, 1.4 with an index", "N", 1)
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
        check_access(self, self.auth, "give --auth FILE, or use --host 127.0.0.1")
        if self.backend_key and not self.backend:
            raise InputError("--backend-key is the key of a backend: give --backend URL too, or leave it out")
        for proxy in self.proxies:
            _check_proxy(proxy)

    @property
    def worker_memory(self) -> int:
        """Bytes of address space that a worker process may map."""
        return self.memory + (INDEX_MEMORY if self.indexes else 0)


def _check_proxy(text: str) -> None:
    try:
        ipaddress.ip_network(text)
    except ValueError as error:
        told = f"--proxy {text!r} is no address: give the proxy's IP address, or its network such as 10.0.0.0/8"
        raise InputError(told) from error
