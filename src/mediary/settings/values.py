"""The values that settings hold: secrets, which may lie elsewhere, URLs, names."""

import os
import re
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, SecretStr


def _resolve_secret(secret: SecretStr) -> SecretStr:
    """`env:NAME` and `file:PATH` become what they point at; anything else is the secret itself. None may be empty."""
    scheme, _, rest = secret.get_secret_value().partition(":")
    match scheme:
        case "env":
            value, where = os.environ.get(rest, ""), f"the environment has no variable {rest}, or it is empty"
        case "file":
            value, where = _read_secret(rest), f"the file {rest} is empty"
        case _:
            value, where = secret.get_secret_value(), "it is empty: leave the key out if there is none"
    if not value.strip():
        raise ValueError(where)
    return SecretStr(value.strip())


def _read_secret(name: str) -> str:
    path = Path(name).expanduser()
    if not path.is_absolute():
        raise ValueError(f"file:{name}: the whole path is needed, from / or ~ on")
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"the file {name} cannot be read: {error.__class__.__name__}") from None


def _check_url(url: str) -> str:
    """An http(s) URL that holds no password: it is shown to clients, and stands in the log."""
    try:
        parts = urlsplit(url)
        whole = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        whole = False
    if not whole:
        raise ValueError("not an http(s) URL")
    if "@" in parts.netloc:
        raise ValueError("a password does not belong into a URL: use api_key, or headers = { Authorization = … }")
    return url.rstrip("/")


_HOST = re.compile(r"[a-z0-9._:\[\]-]+")


def check_origin(origin: str) -> str:
    """The origin of a site, as browsers write it: `https://chat.example.com`, with a port where it is not the usual."""
    try:
        parts = urlsplit(origin.strip().lower())
        whole = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        whole = False
    if not whole or parts.path.strip("/") or parts.query or parts.fragment or not _HOST.fullmatch(parts.netloc):
        raise ValueError(
            "an origin is a scheme and a host, such as https://chat.example.com, letters like ü in the form xn--…; "
            "`*` and `null` are none"
        )
    usual = {"http": ":80", "https": ":443"}[parts.scheme]
    return f"{parts.scheme}://{parts.netloc.removesuffix(usual)}"


def plain_store(store: str) -> str:
    """`media.store` as it is compared and written down: with a slash behind it, it is the same store."""
    scheme, separator, place = store.strip().partition("://")
    return f"{scheme}{separator}{place.rstrip('/') or place[:1]}"


def check_name(name: str) -> str:
    """A provider's name stands in log lines and URLs."""
    if not re.fullmatch(r"\w[\w .+-]{0,63}", name):
        raise ValueError("a provider's name has letters, digits and ` ._+-`, 64 at most")
    return name


Secret = Annotated[SecretStr, AfterValidator(_resolve_secret)]
Url = Annotated[str, AfterValidator(_check_url)]
