"""A passage, as it is found."""

from dataclasses import dataclass


@dataclass(slots=True, frozen=True)
class Passage:
    """A piece of a document, under the headings that it stands under; `score` compares within one question."""

    document: str
    text: str
    score: float = 0.0
