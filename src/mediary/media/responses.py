"""Kept media as a client sees them: URLs, words, and the Markdown or HTML that shows them."""

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from mediary.errors import BadRequestError

_SHOWN = re.compile(r"(?:https?://|/(?!/)|data:(?:image|audio|video)/)", re.IGNORECASE)
_MARKDOWN = re.compile(r"[\\`*_\[\]]")
_ENTITY = re.compile(r"&(?=#?\w+;)")
# What may stand in a URL, but for the parentheses, which end it in Markdown.
_URL_SAFE = "%/:?#[]@!$&'*+,;=~"


@dataclass(frozen=True, init=False)
class MediaResponse(ABC):
    """Media of one kind: their URLs, words for who cannot see or hear them, and options such as `source_url`."""

    urls: tuple[str, ...]
    alt: str
    options: Mapping[str, Any] = field(hash=False)

    def __init__(self, urls: str | Sequence[str], alt: str | None = "", **options: Any) -> None:
        urls = (urls,) if isinstance(urls, str) else tuple(urls)
        if not all(map(_SHOWN.match, urls)):
            raise BadRequestError("a media URL is http(s), a data URI of a picture, sound or video, or a path here")
        object.__setattr__(self, "urls", urls)
        object.__setattr__(self, "alt", alt or "")
        object.__setattr__(self, "options", MappingProxyType(options))

    @property
    def source_url(self) -> str | None:
        """Where the media came from."""
        return self.options.get("source_url")

    @property
    def markdown(self) -> str:
        """What shows the media in a Markdown text, a line each."""
        return "\n".join(map(self._show, self.urls))

    def __str__(self) -> str:
        return self.markdown

    @abstractmethod
    def _show(self, url: str) -> str: ...


class ImageResponse(MediaResponse):
    """One picture or several."""

    def _show(self, url: str) -> str:
        target = _link_target(url)
        return f"[![{_link_text(self.alt)}]({target})]({target})"


class AudioResponse(MediaResponse):
    """A sound; its words are the transcript."""

    @property
    def transcript(self) -> str:
        """What is said."""
        return self.alt

    def _show(self, url: str) -> str:
        return f'<audio controls src="{escape(_encode(url))}"></audio>'


class VideoResponse(MediaResponse):
    """A video."""

    def _show(self, url: str) -> str:
        return f'<video src="{escape(_encode(url))}"></video>'


_RESPONSES: dict[str, type[MediaResponse]] = {"image": ImageResponse, "audio": AudioResponse, "video": VideoResponse}


def media_response(kind: str, urls: str | Sequence[str], alt: str | None = "", **options: Any) -> MediaResponse:
    """The response for a kind of media: `image`, `audio` or `video`."""
    return _RESPONSES[kind](urls, alt, **options)


def _link_text(text: str) -> str:
    """A text that Markdown shows as it is, in one line, and that is no HTML either."""
    return _MARKDOWN.sub(r"\\\g<0>", escape(" ".join(text.split()), quote=False))


def _link_target(url: str) -> str:
    return _ENTITY.sub("&amp;", _encode(url))


def _encode(url: str) -> str:
    return quote(url, safe=_URL_SAFE, errors="replace")
