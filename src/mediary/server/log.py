"""The log: a line an entry on standard error, as text or JSON, with the request's id; no keys, no message text."""

import logging
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

import msgspec

from mediary.settings import LogSettings

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def fields(record: logging.LogRecord) -> dict[str, Any]:
    """What an entry says besides its message: the request's id and whatever the caller gave as `extra`."""
    extra = {name: value for name, value in vars(record).items() if name not in _STANDARD and value is not None}
    current = request_id.get()
    return {"request": current, **extra} if current and "request" not in extra else extra


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class TextFormatter(logging.Formatter):
    """`time LEVEL message name=value …`, a value with spaces in quotes."""

    def format(self, record: logging.LogRecord) -> str:
        """One entry as a line; a traceback follows on lines of its own."""
        pairs = "".join(f" {name}={self._value(value)}" for name, value in fields(record).items())
        line = f"{_time(record)} {record.levelname:<7} {record.getMessage()}{pairs}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line

    @staticmethod
    def _value(value: Any) -> str:
        text = str(value)
        return text if text and text.isprintable() and not set(text) & set(' "=') else repr(text)


class JsonFormatter(logging.Formatter):
    """A JSON object an entry."""

    def format(self, record: logging.LogRecord) -> str:
        """One entry as a line."""
        entry = {"time": _time(record), "level": record.levelname.lower(), "message": record.getMessage()}
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return msgspec.json.encode(entry | fields(record), enc_hook=str).decode()


def configure_logging(settings: LogSettings) -> None:
    """Send everything that is logged to standard error in the chosen form."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if settings.format == "json" else TextFormatter())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("mediary").setLevel(settings.level.upper())
    # It repeats what is wrong with a form, which the client is told.
    logging.getLogger("python_multipart").setLevel(logging.ERROR)
