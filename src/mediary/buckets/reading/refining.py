"""Choosing the sentences that carry a text, in a child process: spaCy is imported nowhere else.

A chunk's text is taken apart into units, sentences and rows of tables and whole code blocks, which are ranked by the
terms of the whole bucket. The best are kept in reading order.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from heapq import nlargest
from importlib import import_module
from itertools import islice
from typing import Any, BinaryIO, NamedTuple

from mediary.buckets.reading.markdown_blocks import Block, blocks

MOST_TERMS = 20_000
"""Different terms that are counted, the most frequent ones."""
KEPT = 0.27
"""The part of a text that is kept, in characters."""

_SHORT = 400
"""Texts of so many characters are kept whole."""
_PASSAGE = 60  # terms
_LONGEST_SENTENCE = 1500
_BRIEF = 4  # terms; a sentence of fewer says little, however weighty they are
_SAMPLE = 20_000

# Scripts without spaces between words are taken in pairs of characters.
_TERM = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3]{2}|[^\W\d_][^\W_]*(?:[-'\u2019][^\W_]+)*")
_LANGUAGES = (
    *("en", "de", "fr", "es", "it", "pt", "nl", "sv", "da", "nb"),
    *("fi", "pl", "cs", "ro", "hu", "tr", "ru", "uk"),
)
_ANY = "xx"
_SENTENCES = "senter"
"""The component of a model that knows where sentences end, ten times as fast as the one that knows all about them."""

Span = tuple[int, int, str | None]
"""Where the text of a document, or a part of it, begins and ends in a chunk, in bytes; and its language, if known."""


class Unit(NamedTuple):
    """What is kept or left out as one; `block` is the number of the block that it belongs to."""

    block: int
    text: str
    score: float


def count(source: BinaryIO, spans: Sequence[Span]) -> tuple[int, dict[str, tuple[int, int]]]:
    """The number of passages in a chunk; for each term how often it occurs, and in how many of them."""
    passages, often, spread = 0, Counter[str](), Counter[str]()
    for text, language in _texts(source.read(), spans):
        terms = _terms(text, language)
        while passage := Counter(islice(terms, _PASSAGE)):
            passages += 1
            often.update(passage)
            spread.update(passage.keys())
    return passages, {term: (number, spread[term]) for term, number in often.most_common(MOST_TERMS)}


def refine(source: BinaryIO, spans: Sequence[Span], weights: Mapping[str, float]) -> str:
    """What carries a chunk; all outside the spans, the lines that documents begin and end with, stays."""
    chunk, kept, at = source.read(), [], 0
    for (start, end, _), (text, language) in zip(spans, _texts(chunk, spans), strict=True):
        kept.append(chunk[at:start].decode(errors="replace"))
        kept.append(_refined(text, language, weights))
        at = end
    kept.append(chunk[at:].decode(errors="replace"))
    return "".join(kept)


def _texts(chunk: bytes, spans: Iterable[Span]) -> Iterator[tuple[str, str]]:
    for start, end, known in spans:
        text = chunk[start:end].decode(errors="replace")
        yield text, _language(text, known)


def _refined(text: str, language: str, weights: Mapping[str, float]) -> str:
    """The best of a text, in reading order."""
    if len(text) <= _SHORT:
        return text
    found = list(blocks(text))
    units = list(_units(found, language, weights))
    headings = sum(len(block.text) for block in found if block.kind == "heading")
    kept = _best(units, max(KEPT * len(text) - headings, KEPT / 2 * len(text)))
    by_block: dict[int, list[str]] = {}
    for number in sorted(kept):
        by_block.setdefault(units[number].block, []).append(units[number].text)
    return "\n\n".join(_parts(found, by_block)) + "\n" * text.endswith("\n")


def _best(units: Sequence[Unit], room: float) -> set[int]:
    """The numbers of the units with the highest scores that have room, at least one; nothing is said twice."""
    ranked = nlargest(len(units), range(len(units)), key=lambda number: units[number].score)
    kept: set[int] = set()
    said: set[str] = set()
    large = room / 3
    for number in ranked:
        text = units[number].text.strip()
        if text in said:
            continue
        if kept and len(text) > room:
            if len(text) > large:
                continue
            break  # what is worth less is not taken for being short
        said.add(text)
        kept.add(number)
        room -= len(text)
    return kept


def _headings(found: Sequence[Block], by_block: Mapping[int, Sequence[str]]) -> set[int]:
    """The numbers of the headings under which something is kept."""
    kept: set[int] = set()
    level = 0  # what is kept below has headings of lower levels than this
    for number in range(len(found) - 1, -1, -1):
        if number in by_block:
            level = 7
        elif found[number].level and found[number].level < level:
            level = found[number].level
            kept.add(number)
    return kept


def _parts(found: Sequence[Block], by_block: Mapping[int, Sequence[str]]) -> Iterator[str]:
    """What is kept of each block; neighbouring items and rows stay together."""
    gathered: list[str] = []
    headings = _headings(found, by_block)
    for number, block in enumerate(found):
        units = by_block.get(number, ())
        if block.kind != "item" and gathered:
            yield "\n".join(gathered)
            gathered = []
        if number in headings:
            yield block.text
        elif units and block.kind == "item":
            gathered.append(block.lead + " ".join(units))
        elif units:
            yield block.lead + ("\n" if block.kind == "table" else " ").join(units)
    if gathered:
        yield "\n".join(gathered)


def _units(found: Sequence[Block], language: str, weights: Mapping[str, float]) -> Iterator[Unit]:
    for number, block in enumerate(found):
        match block.kind:
            case "heading":
                continue
            case "paragraph" | "item":
                texts = list(_sentences(block.text, language))
            case "table":
                texts = block.text.splitlines()
            case _:
                texts = [block.text]
        for text in texts:
            yield Unit(number, text, _score(text, language, weights))


def _score(text: str, language: str, weights: Mapping[str, float]) -> float:
    """How much a unit tells for its length."""
    terms = set(_terms(text, language))
    return sum(weights.get(term, 0.0) for term in terms) / (len(terms) + _BRIEF)


def _terms(text: str, language: str) -> Iterator[str]:
    stops = _stop_words(language)
    for found in _TERM.finditer(text):
        term = found[0].casefold()
        if len(term) > 1 and term not in stops:
            yield term


def _sentences(text: str, language: str) -> Iterator[str]:
    for piece in _cut(text):
        for sentence in _splitter(language)(piece).sents:
            if stripped := sentence.text.strip():
                yield stripped


def _cut(text: str) -> Iterator[str]:
    """What has no end of a sentence for long is cut between words."""
    while len(text) > 20 * _LONGEST_SENTENCE:
        at = text.rfind(" ", _LONGEST_SENTENCE, 20 * _LONGEST_SENTENCE)
        at = at if at > 0 else 20 * _LONGEST_SENTENCE
        yield text[:at]
        text = text[at:]
    yield text


@cache
def _splitter(language: str) -> Any:
    """spaCy's splitting into sentences: by an installed model that can, else by the rules of the language."""
    import spacy

    for name in spacy.util.get_installed_models():
        if name.startswith(f"{language}_"):
            from spacy.cli.info import info_model  # it brings in all of spaCy's commands

            components = info_model(name).get("components", ())
            if _SENTENCES in components:
                model = spacy.load(name, exclude=[other for other in components if other != _SENTENCES])
                if _SENTENCES in model.disabled:
                    model.enable_pipe(_SENTENCES)
                return model
    try:
        splitter = spacy.blank(language)
    except ImportError:  # a language that nobody wrote rules for, or whose rules take another library
        splitter = spacy.blank(_ANY)
    splitter.add_pipe("sentencizer")
    return splitter


@cache
def _stop_words(language: str) -> frozenset[str]:
    """Words that tell nothing of what a text is about."""
    try:
        return frozenset(import_module(f"spacy.lang.{language}.stop_words").STOP_WORDS)
    except ImportError:
        return frozenset()


def _language(text: str, known: str | None) -> str:
    """The language as spaCy calls it: what is known of it, else the one whose small words a text has most of."""
    if known:
        return known.replace("_", "-").partition("-")[0].lower()
    words = Counter(word.lower() for word in re.findall(r"[^\W\d_]+", text[:_SAMPLE]))
    found = {language: sum(words[word] for word in _stop_words(language)) for language in _LANGUAGES}
    best = max(found, key=lambda language: found[language])
    return best if found[best] >= max(3, 0.1 * words.total()) else _ANY
