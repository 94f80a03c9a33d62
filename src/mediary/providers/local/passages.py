"""Finds the sentences of a conversation that bear on its question: BM25 over sentences, in any script."""
# ruff: noqa: RUF001 (other scripts have marks that look like Latin ones)

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from mediary.providers.base import Message, Text
from mediary.sentences import Check, never_over, sentences
from mediary.words import GRAMMAR, words

MOST = 5  # quotations in an answer

# BM25's usual constants: how fast repetition saturates, how much length counts.
_K1 = 1.2
_B = 0.75
_LIKE = 0.7  # what a word counts that only begins like the one asked for
_STEM = 4  # letters that two words must share to be alike
_NEAR_BEST = 0.4  # of the best sentence's score; what is below is left out
_LONGEST_QUESTION = 100  # different words; who writes more gives a text, not a question

# What stands around the text of a document, to say which it is.
_FRAME = re.compile(r"^(?:<!-- File: .* -->|<-- End -->)$", re.MULTILINE)
_QUESTION = re.compile(r"[?？؟;⸮՞፧]\W*$")


@dataclass(slots=True, frozen=True)
class Passage:
    """A sentence and the document it stands in; None is the conversation itself."""

    text: str
    source: str | None


@dataclass(slots=True)
class Found:
    """The passages that bear on the question, best first, and how many words were read to find them."""

    passages: list[Passage]
    words: int


@dataclass(slots=True)
class _Candidate:
    passage: Passage
    length: int
    terms: dict[str, float]  # of the question's: how often each is here
    score: float = 0.0


def find_passages(messages: Sequence[Message], limit: int = MOST, check: Check = never_over) -> Found:
    """The sentences of the messages that bear on the question, which is the last user message's own text."""
    asked = _question(messages, check)
    asked_words = [word for sentence in asked for word in _checked_words(sentence, check)]
    question = _Question(word for word in asked_words if word not in GRAMMAR)
    candidates: list[_Candidate] = []
    number = total = 0
    for passage in _passages(messages, asked, check):
        read = _checked_words(passage.text, check)
        number += 1
        total += len(read)
        # Of a sentence with none of the question's words only the length counts.
        if terms := question.terms_in(read):
            candidates.append(_Candidate(passage, len(read), terms))
    _score(candidates, number, total / number if number else 1.0, check)
    best = _best(candidates, question.wanted, limit)
    return Found([candidate.passage for candidate in best], total + len(asked_words))


def _checked_words(sentence: str, check: Check) -> list[str]:
    check()
    return words(sentence)


class _Question:
    """What is looked for: the words of a question, and which words are like them."""

    def __init__(self, terms: Iterable[str]) -> None:
        self.terms = frozenset(islice(dict.fromkeys(terms), _LONGEST_QUESTION))
        self._by_stem: dict[str, list[str]] = {}
        for term in sorted(self.terms):
            self._by_stem.setdefault(term[:_STEM], []).append(term)
        self._known: dict[str, tuple[str, float] | None] = {}

    @property
    def wanted(self) -> int:
        """How many of its words a sentence must hold to bear on it."""
        return min(3, math.ceil(len(self.terms) / 4))

    def terms_in(self, read: list[str]) -> dict[str, float]:
        """How often each of its words is in a sentence; one that is only like it counts less."""
        counts: dict[str, float] = {}
        for word in read:
            if word not in self._known:
                self._known[word] = self._match(word)
            if (match := self._known[word]) is not None:
                term, weight = match
                counts[term] = counts.get(term, 0.0) + weight
        return counts

    def _match(self, word: str) -> tuple[str, float] | None:
        if word in self.terms:
            return word, 1.0
        if len(word) < _STEM:
            return None
        return next(((term, _LIKE) for term in self._by_stem.get(word[:_STEM], ()) if _alike(term, word)), None)


def _alike(one: str, other: str) -> bool:
    """Whether two words differ in their endings only: invoice, invoices, invoicing."""
    shorter, longer = sorted((one, other), key=len)
    stem = max(_STEM, len(shorter) - 1)
    return len(longer) - stem <= 4 and len(shorter) >= stem and longer.startswith(shorter[:stem])


def _question(messages: Sequence[Message], check: Check) -> list[str]:
    """The sentences that ask: those with a question mark, or the first and the last one."""
    last = next((message for message in reversed(messages) if message.role == "user"), None)
    if last is None:
        return []
    own = [
        sentence
        for part in last.parts
        if isinstance(part, Text) and not part.source
        for sentence in sentences(part.text, check)
    ]
    return [sentence for sentence in own if _QUESTION.search(sentence)] or own[:1] + own[1:][-1:]


def _passages(messages: Sequence[Message], asked: list[str], check: Check) -> Iterator[Passage]:
    """Every sentence that may answer, once, in reading order."""
    seen = {sentence.casefold() for sentence in asked}
    for message in messages:
        for part in message.parts:
            if not isinstance(part, Text):
                continue
            said = _FRAME.sub("", part.text) if part.source else _own_words(message, part.text)
            for sentence in sentences(said, check):
                key = sentence.casefold()
                if key in seen or (not part.source and _QUESTION.search(sentence)):
                    continue
                seen.add(key)
                yield Passage(sentence, part.source)


def _own_words(message: Message, text: str) -> str:
    """A message's text without what it quotes, for that was said elsewhere."""
    if message.role != "assistant":
        return text
    return "\n".join(line for line in text.splitlines() if not line.startswith(">"))


def _score(candidates: list[_Candidate], number: int, average: float, check: Check) -> None:
    """Score the candidates among a number of sentences of an average length.

    BM25, times the share of the question's words that a sentence holds: one with both words of "capital of France"
    is worth more than the sum of one with "capital" and one with "France".
    """
    held = Counter(term for candidate in candidates for term in candidate.terms)
    rarity = {term: math.log(1 + (number - count + 0.5) / (count + 0.5)) for term, count in held.items()}
    for candidate in candidates:
        check()
        norm = _K1 * (1 - _B + _B * candidate.length / (average or 1.0))
        weights = (rarity[term] * count * (_K1 + 1) / (count + norm) for term, count in candidate.terms.items())
        candidate.score = sum(weights) * len(candidate.terms) / len(held)


def _best(candidates: list[_Candidate], wanted: int, limit: int) -> list[_Candidate]:
    """The candidates that hold enough of the question's words, best first, those far behind the best left out."""
    bearing = [candidate for candidate in candidates if len(candidate.terms) >= wanted]
    bearing.sort(key=lambda candidate: candidate.score, reverse=True)
    return [candidate for candidate in bearing[:limit] if candidate.score >= _NEAR_BEST * bearing[0].score]
