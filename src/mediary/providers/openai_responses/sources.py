"""The pages that an answer points to."""

import re
from collections.abc import Iterable
from urllib.parse import quote

from mediary.providers.openai_responses.wire import Annotation, Words

_WEB = re.compile(r"https?://", re.IGNORECASE)
_IN_TITLE = re.compile(r"[\s\[\]\\]+")
_IN_URL = re.compile(r"[\s()<>]")


class Sources:
    """Gathers pages, each once, and leaves out those that the text itself links to."""

    def __init__(self) -> None:
        self._titles: dict[str, str] = {}
        self._linked: set[str] = set()

    def add(self, annotation: Annotation | None) -> None:
        """What a text points to, if that is a page."""
        if annotation and annotation.url and _WEB.match(annotation.url):
            title = _IN_TITLE.sub(" ", annotation.title or "").strip()
            self._titles[annotation.url] = self._titles.get(annotation.url) or title

    def read(self, text: Iterable[Words]) -> None:
        """What a whole message points to, and which of it stands in its words."""
        for words in text:
            for annotation in words.annotations or ():
                self.add(annotation)
            self._linked.update(url for url in self._titles if url in (words.text or ""))

    def links(self) -> str:
        """The pages as a numbered list behind the answer; empty where there are none."""
        left = [(url, title) for url, title in self._titles.items() if url not in self._linked]
        lines = [f"{number}. [{title or url}]({_escaped(url)})" for number, (url, title) in enumerate(left, 1)]
        return "\n\n" + "\n".join(lines) if lines else ""


def _escaped(url: str) -> str:
    """A URL that does not end the link that it stands in."""
    return _IN_URL.sub(lambda found: quote(found[0]), url)
