"""Takes secrets out of what a service says: whole, in parts, and in the ways that a request writes them."""

import base64
import binascii
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote

# What is shorter is left, or half of the words would go.
_SHORTEST = 4
_SHORTEST_PART = 6
# The words that stand before a secret in a header, and the names within one.
_SCHEMES = frozenset({"apikey", "api-key", "basic", "bearer", "digest", "negotiate", "session", "token"})


def forms_of(secrets: Iterable[str]) -> list[str]:
    """Every way in which a service may repeat a secret, the longest first."""
    found = {form for secret in secrets for form in _forms(secret)}
    return sorted(found, key=lambda form: (-len(form), form))


def scrub(text: str, forms: Iterable[str], instead: str = "…") -> str:
    """The text without the forms of secrets that `forms_of` gave."""
    for form in forms:
        text = text.replace(form, instead)
    return text


def _forms(secret: str) -> Iterator[str]:
    if len(secret) < _SHORTEST:
        return
    yield from _written(secret)
    for part in re.split(r"[\s,;]+", secret):
        value = part.partition("=")[2].strip("\"'=")
        for one in (part.strip("\"'"), value, *_decoded(part)):
            if len(one) >= _SHORTEST_PART and one.casefold() not in _SCHEMES:
                yield from _written(one)
    # A password may be shorter than any other part: what stands behind the name in Basic credentials is no word.
    scheme, _, coded = secret.partition(" ")
    if scheme.casefold() == "basic":
        yield from (one for one in _decoded(coded.strip())[2:] if len(one) >= _SHORTEST)


def _written(secret: str) -> Iterator[str]:
    """A secret as it is, as URLs write it, and in base64."""
    yield secret
    yield quote(secret, safe="")
    data = secret.encode("utf-8", "replace")
    for coded in (base64.b64encode(data), base64.urlsafe_b64encode(data)):
        yield coded.decode()
        yield coded.decode().rstrip("=")


def _decoded(coded: str) -> tuple[str, ...]:
    """`user:password`, user and password out of base64; nothing where it holds no such pair."""
    try:
        pair = base64.b64decode(coded + "=" * (-len(coded) % 4), validate=True).decode()
    except (binascii.Error, UnicodeError, ValueError):
        return ()
    user, colon, password = pair.partition(":")
    return (pair, user, password) if colon and pair.isprintable() else ()
