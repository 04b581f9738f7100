"""What the settings of both servers are made of; the command line reads it at its start, so it loads no package."""

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

from twoface.core.errors import InputError

Default = TypeVar("Default")


@dataclass(frozen=True)
class Option:
    """How the command line tells a setting. It stands in the `metadata` of the dataclass' field: see `option`."""

    help: str
    metavar: str | None
    least: float
    most: float | None
    name: str | None
    unit: float


def option(
    default: Default,
    help: str,
    metavar: str | None = None,
    least: float = 0,
    most: float | None = None,
    *,
    name: str | None = None,
    unit: float = 1,
) -> Default:
    """A field of a dataclass that is an option of the command line too, as in `port: int = option(80, "HTTP port")`.

    help: `%(default)s` in it is the default. metavar: what stands for the value in the help. least, most: bounds of a
    number. name: of the option, where it is not that of the field. unit: what 1 on the command line is in the field,
    such as 0.001 for milliseconds.
    """
    told = Option(help, metavar, least, most, name, unit)
    return field(default=default, metadata={Option: told})


class ServerSettings(Protocol):
    """What a server of either kind is told. Times are in seconds; tls_cert, tls_key: both, or neither."""

    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...
    @property
    def tls_cert(self) -> Path | None: ...
    @property
    def tls_key(self) -> Path | None: ...
    @property
    def receive_timeout(self) -> float: ...
    @property
    def drain(self) -> float: ...


def check_access(settings: ServerSettings, keys: Path | None, advice: str) -> None:
    """Raise InputError for a server without an address, for one that others can reach without a key, with `advice`, and
    for half of TLS.
    """
    if not settings.host.strip():
        raise InputError("--host is empty: give an address, 127.0.0.1 for this machine alone, 0.0.0.0 for all networks")
    if not keys and not is_loopback(settings.host):
        raise InputError(f"{settings.host} can be reached by others: {advice}")
    if (settings.tls_cert is None) != (settings.tls_key is None):
        raise InputError("TLS needs both --tls-cert and --tls-key")


def is_loopback(host: str | None) -> bool:
    """Whether only this machine can reach the address."""
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return host == "localhost"
