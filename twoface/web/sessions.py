"""Who a request comes from: a random id in a cookie. With passwords it is given out for one; else for the asking."""

import re
import secrets
import time
from collections.abc import Callable

from twoface.serving.auth import Keys

SECONDS = 12 * 3600  # that a login lasts
LOGINS = 1000  # at a time
TRIES = 5  # wrong passwords of one address in `WINDOW` seconds
WINDOW = 60
ID = re.compile(r"[A-Za-z0-9_-]{43}")


class Sessions:
    """keys: the passwords (`twoface.serving.auth.Keys`), None where everyone who reaches the server may use it.

    Without keys nothing is kept here: the id only tells whose photos are meant, so a browser keeps it over a restart.
    clock: () -> seconds.
    """

    def __init__(self, keys: Keys | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._keys, self._clock = keys, clock
        self._logins: dict[str, float] = {}  # id -> when it ends, the oldest first
        self._wrong: dict[str, list[float]] = {}  # address -> when it gave wrong passwords

    @property
    def locked(self) -> bool:
        """Whether a password is needed."""
        return self._keys is not None

    def known(self, cookie: str) -> bool:
        """Whether the cookie's value is the id of a session."""
        if self.locked:
            return self._logins.get(cookie, 0) > self._clock()
        return ID.fullmatch(cookie) is not None

    def open(self) -> str:
        """A new id that nobody can guess; with keys it must be kept for who gave one (`log_in`)."""
        return secrets.token_urlsafe(32)

    def log_in(self, password: str) -> str | None:
        """-> the id of a new session, or None for a wrong password."""
        if self._keys is None or not self._keys.valid(password):
            return None
        while len(self._logins) >= LOGINS:
            del self._logins[next(iter(self._logins))]
        id = self.open()
        self._logins[id] = self._clock() + SECONDS
        return id

    def log_out(self, cookie: str) -> None:
        """End a login."""
        self._logins.pop(cookie, None)

    def pause(self, address: str) -> float:
        """Seconds that an address has to wait before it may try a password, 0 for none."""
        since = self._clock() - WINDOW
        self._wrong = {who: recent for who, when in self._wrong.items() if (recent := [t for t in when if t > since])}
        wrong = self._wrong.get(address, [])
        return 0 if len(wrong) < TRIES else wrong[0] - since

    def failed(self, address: str) -> None:
        """Remember that an address gave a wrong password."""
        self._wrong.setdefault(address, []).append(self._clock())
