"""Safe names, the names of media files, and the source URLs that travel with them."""

import re
import secrets
import time
from collections.abc import Mapping, Sequence
from datetime import UTC
from email.utils import parsedate_to_datetime
from hashlib import sha256
from unicodedata import category, normalize
from urllib.parse import quote, unquote, urlsplit

MAX_NAME_BYTES = 255  # of a whole file name, on every common file system
MAX_SEGMENT_BYTES = 100  # of what `secure_filename` makes

_PUNCTUATION = ".,_+-"
_NOT_PLAIN = re.compile(r"[^\w.,+-]+")
_SOURCE_URL = re.compile(r"(?:^|[?&])url=([^&#]*)")
_SECONDS = re.compile(r"^([0-9]{10})(?![0-9])[_+]*")
_DIGEST = re.compile(r"(?:^|[_+]+)[0-9a-f]{16}(?:-[0-9]+)?$")
_SEPARATORS = re.compile(r"[\s_+]+")
_UNSAFE_IN_URL = re.compile(r"[\x00-\x20\x7f-\x9f\ud800-\udfff]")
# A longer prompt adds nothing to a name of 100 bytes, and normalizing is quadratic in runs of combining marks.
_MAX_INPUT = 4096
_MAX_EXTENSION_BYTES = 16
_TEN_DIGITS = 10_000_000_000


def secure_filename(name: str) -> str:
    """A name for one file, whatever came in: no separator, no leading dot, at most 100 bytes of UTF-8.

    Percent escapes are decoded and Unicode is composed (NFC), so what looks the same is the same. Letters and digits of
    any script stay, with their combining marks, and `.,_+-` inside; each run of anything else becomes one `_`. The
    result is empty if nothing is left: the caller leaves the name out or refuses it. Names that only Windows reserves
    (`con`, `nul`) are names like any other here.
    """
    composed = normalize("NFC", unquote(name[:_MAX_INPUT]))
    plain = _NOT_PLAIN.sub(_replace_run, composed) if _NOT_PLAIN.search(composed) else composed
    return _cut(plain.lstrip(_PUNCTUATION), MAX_SEGMENT_BYTES).rstrip(_PUNCTUATION)


def get_filename(tags: Sequence[str], alt: str, extension: str, image: str, timestamp: int | None = None) -> str:
    """The name of a media file: `{unix seconds}_{safe tags+alt}_{16 hex}{.ext}`.

    The seconds are `timestamp`, else now. The hex is a hash of `image` if that is an http(s) URL; otherwise of the
    moment and a random part, so that two pictures of one prompt differ. Where nothing of tags and alt is safe, that
    segment is left out. At most 255 bytes.
    """
    seconds = int(time.time()) if timestamp is None else int(timestamp)
    described = secure_filename("+".join(part for part in (*tags, alt) if part))
    unique = image if _is_web(image) else f"{time.time_ns()} {secrets.token_hex(16)}"
    digest = sha256(unique.encode(errors="surrogatepass")).hexdigest()[:16]
    suffix = secure_filename(extension)
    return "_".join(part for part in (str(seconds), described, digest) if part) + (f".{suffix}" if suffix else "")


def get_timestamp(headers: Mapping[str, str]) -> int | None:
    """The Unix seconds of `Last-Modified`, else of `Date`; a time without a zone is UTC.

    None if neither is a time between 1970 and 2286: names keep ten digits, so that they sort by age.
    """
    by_name = {name.lower(): value for name, value in headers.items()}
    times = (_parse_time(by_name[name]) for name in ("last-modified", "date") if name in by_name)
    return next((seconds for seconds in times if seconds is not None), None)


def created_at(name: str, modified: float) -> float:
    """When a media file was made, in Unix seconds: the time that its name begins with, else that of the file.

    Where both are the same second, the file's time knows its fraction.
    """
    found = _SECONDS.match(name)
    return modified if found is None or int(found[1]) == int(modified) else float(found[1])


def words_in(name: str) -> str:
    """The words that a media file's name holds, without its time, digest and extension."""
    stem = name.rpartition(".")[0] or name
    return _SEPARATORS.sub(" ", _DIGEST.sub("", _SECONDS.sub("", stem, count=1))).strip()


def get_source_url(query_or_url: str, default: str | None = None) -> str | None:
    """The decoded `url=` parameter of a query string or a URL, if it is an http(s) URL; else `default`.

    One with a user or a password is none: what stands before the `@` passes for the host.
    """
    found = _SOURCE_URL.search(query_or_url)
    source = unquote(found[1]) if found else ""
    return source if _is_web(source) and "@" not in urlsplit(source).netloc else default


def with_source_url(media_url: str, source: str) -> str:
    """A media URL that keeps its source: `?url=` and the quoted source behind it."""
    return f"{media_url}{'&' if '?' in media_url else '?'}url={quote(source, safe='', errors='replace')}"


def numbered(name: str, number: int) -> str:
    """A name with a number before its extension (`a.png`, 2: `a-2.png`), still at most 255 bytes."""
    stem, dot, extension = name.rpartition(".")
    if not stem or len(extension.encode()) > _MAX_EXTENSION_BYTES:  # no dot, or one in a sentence
        stem, dot, extension = name, "", ""
    ending = f"-{number}{dot}{extension}"
    return _cut(stem, MAX_NAME_BYTES - len(ending.encode())) + ending


def _replace_run(found: re.Match[str]) -> str:
    """The combining marks that a run of other characters begins with, if a letter precedes; `_` for the rest."""
    run, start = found[0], found.start()
    marks = 0
    if start and found.string[start - 1].isalnum():
        marks = next((at for at, character in enumerate(run) if category(character)[0] != "M"), len(run))
    return run[:marks] + ("_" if marks < len(run) else "")


def _cut(text: str, limit: int) -> str:
    """At most `limit` bytes of a text, never through a character nor between a letter and its combining marks."""
    encoded = text.encode()
    if len(encoded) <= limit:
        return text
    kept = len(encoded[:limit].decode(errors="ignore"))
    while kept and category(text[kept])[0] == "M":
        kept -= 1
    return text[:kept]


def _parse_time(value: str) -> int | None:
    """The Unix seconds of an HTTP date, None if it is none."""
    try:
        moment = parsedate_to_datetime(value)
        seconds = int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    except (ValueError, TypeError, IndexError, OverflowError):  # the parser raises each of them on some garbage
        return None
    return seconds if 0 < seconds < _TEN_DIGITS else None


def _is_web(url: str) -> bool:
    """Whether this is an http(s) URL with a host, fit for a header line."""
    if not url[:8].lower().startswith(("http://", "https://")) or _UNSAFE_IN_URL.search(url):
        return False
    try:
        return bool(urlsplit(url).hostname)
    except ValueError:
        return False
