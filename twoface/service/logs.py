"""Structured logs: a JSON object a line, with the request's id, and nothing of any picture."""

import json
import logging
import re
import sys
import time
import uuid
from contextvars import ContextVar

request_id: ContextVar[str] = ContextVar("request_id", default="")


class JsonLines(logging.Formatter):
    """A record as one JSON object; what was given as `extra={"fields": {...}}` goes into it."""

    def format(self, record: logging.LogRecord) -> str:
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line = {
            "time": f"{moment}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if request_id.get():
            line["request_id"] = request_id.get()
        line.update(getattr(record, "fields", {}))
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


def configure_logs(level: str = "INFO") -> None:
    """Send the logs of this process to stderr as JSON lines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level, handlers=[handler], force=True)


def begin_request(given: str | None) -> str:
    """Set the id of the request that is now handled: the caller's, if it is a plain one, or a new one -> str."""
    plain = re.fullmatch(r"[A-Za-z0-9._:-]{1,64}", given or "")
    name = plain[0] if plain else uuid.uuid4().hex
    request_id.set(name)
    return name
