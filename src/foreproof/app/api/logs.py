"""What the service says while it works: one line an event, as JSON or text, with the request's id; never a body, query or key."""

from __future__ import annotations

import json
import logging
import re
import sys
import time
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import IO, Any, Literal

LOGGER = logging.getLogger("foreproof")
"""Where every line goes; silent until `configure`."""
LOGGER.addHandler(logging.NullHandler())
CURRENT: ContextVar[dict[str, str] | None] = ContextVar("foreproof_request", default=None)
"""`request` and `tenant` of the call under way: on every line that is said during it."""
_DIRECT: dict[str, logging.StreamHandler[Any] | None] = {"handler": None}
_SECOND: list[Any] = [0, ""]
_KEY = re.compile(r"fp_[a-z2-7]{8}_[a-z2-7]+")


def configure(kind: Literal["text", "json"], *, stream: IO[str] | None = None) -> None:
    """Say lines to a stream (standard error) from now on."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_Json() if kind == "json" else _Text())
    LOGGER.handlers[:] = [handler]
    LOGGER.setLevel(logging.INFO)
    LOGGER.propagate = False
    _DIRECT["handler"] = handler if kind == "json" else None


def say(event: str, *, level: int = logging.INFO, error: BaseException | None = None, **said: Any) -> None:
    """Log an event with what belongs to it, such as `run`, `status` or `ms`."""
    if LOGGER.isEnabledFor(level):
        LOGGER.log(level, event, extra={"said": said}, exc_info=error)


def access(said: dict[str, Any]) -> None:
    """Log the event `request`. As JSON to a stream of ours it takes a short way: every call pays for this line."""
    if not LOGGER.isEnabledFor(logging.INFO):
        return
    handler = _DIRECT.get("handler")
    if handler is None or LOGGER.handlers != [handler]:
        say("request", **said)
        return
    head = f'{{"at": "{_now()}", "level": "info", "event": "request"'
    values = (CURRENT.get() or {}) | said
    line = _clean("".join((head, *(f', "{name}": {_json(value)}' for name, value in values.items()), "}\n")))
    handler.acquire()
    try:
        handler.stream.write(line)
        handler.flush()
    except (OSError, ValueError):
        return  # nobody reads any more; the call goes on
    finally:
        handler.release()


def _json(value: Any) -> str:
    # What needs no escape is most of what comes.
    if type(value) is str and value.isascii() and value.isprintable() and '"' not in value and "\\" not in value:
        return f'"{value}"'
    return str(value) if type(value) in (int, float) else json.dumps(value, default=str)


def _now() -> str:
    at = time.time()
    second = int(at)
    if _SECOND[0] != second:
        _SECOND[:] = [second, datetime.fromtimestamp(second, tz=UTC).isoformat()[:19]]
    return f"{_SECOND[1]}.{int((at - second) * 1000):03d}+00:00"


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    at = datetime.fromtimestamp(record.created, tz=UTC).isoformat(timespec="milliseconds")
    found = {"at": at, "level": record.levelname.lower(), "event": record.getMessage()}
    found |= CURRENT.get() or {}
    found |= getattr(record, "said", {})
    if record.exc_info and record.exc_info[1] is not None:
        found["error"] = logging.Formatter().formatException(record.exc_info)
    return found


def _clean(line: str) -> str:
    # A key that somebody put where none belongs, such as an error's text.
    return _KEY.sub("fp_***", line) if "fp_" in line else line


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return _clean(json.dumps(_fields(record), default=str))


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        found = _fields(record)
        error = found.pop("error", "")
        head = f"{found.pop('at')} {found.pop('level')} {found.pop('event')}"
        rest = " ".join(f"{name}={_plain(value)}" for name, value in found.items())
        return _clean(f"{head} {rest}".rstrip() + (f"\n{error}" if error else ""))


def _plain(value: Any) -> str:
    text = str(value)
    # Quoted where it could pass for another field or line.
    return text if text.isprintable() and " " not in text and "=" not in text else json.dumps(text)


__all__ = ["CURRENT", "LOGGER", "access", "configure", "say"]
