"""What a question asks for, and which passages bear on it most."""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice

from mediary.passages.passage import Passage
from mediary.words import GRAMMAR, UNSPACED, words

MOST_TERMS = 24
"""Different words of a question that are looked for; the rarest, where it has more."""

MOST_WORDS = 100
"""Different words of a question that are looked at; who writes more gives a text, not a question."""

_K1 = 1.2  # BM25's usual constants: how fast repetition saturates, how much length counts
_B = 0.75
_AVERAGE = 1000  # characters of a passage
_LIKE = 0.7  # what a word counts that only begins like the one asked for
_ABOVE = 0.4  # what a word counts that stands only above a passage: in its headings, in the name of its document
_STEMMED = 5  # letters from which a word may have another ending
_NEAR_BEST = 0.2  # of the best passage's score; what is below is left out
_LEAST_SHARE = 200  # characters
_AGAIN = 0.85  # what a passage is worth for each one that its document has given already
_TOO_MANY = 0.25  # the share of all passages from which on a word tells little
_LEAST_TOO_MANY = 40
_ALIKE = 0.9
_DIACRITICS = re.compile("[\u0300-\u036f]")
_WORD = re.compile(r"\w+")


def _plain(byte: int) -> int:
    """The letter without diacritics that a byte of Windows' Western code page is; a space where it is a sign."""
    letter = bytes([byte]).decode("cp1252", "replace")
    base = unicodedata.normalize("NFKD", letter)[:1]
    if base.isascii() and (base.isalnum() or letter.isascii()):
        return ord(base)
    return byte if letter.isalpha() else ord(" ")


_WESTERN = bytes(map(_plain, range(256)))


@dataclass(slots=True, frozen=True)
class Term:
    """A word of a question: `stem` is what words begin with that differ from it in their endings, if it has one."""

    word: str
    stem: str | None

    @property
    def expression(self) -> str:
        """How FTS5 finds it; the exact word counts beside the stem. What stands in quotes has no meaning to FTS5."""
        exact = f'"{spaced(self.word)}"'
        return f'({exact} OR "{self.stem}"*)' if self.stem else exact

    @property
    def pattern(self) -> str:
        """How it is found in folded text."""
        if UNSPACED.match(self.word):
            return re.escape(self.word)
        return rf"(?<!\w){re.escape(self.stem or self.word)}" + ("" if self.stem else r"(?!\w)")


def spaced(text: str) -> str:
    """A text as it is indexed: compared by its words, and characters of scripts without spaces found one by one."""
    if text.isascii():
        return text
    plain = bare(text)
    return plain if plain.isascii() else UNSPACED.sub(lambda run: f" {' '.join(run[0])} ", plain)


def bare(text: str) -> str:
    """A text as its words are compared: folded and without diacritics."""
    if text.isascii():
        return text.lower()
    folded = text.casefold()
    try:
        # Most texts that are not ASCII; the long way takes five times as long.
        return folded.encode("cp1252").translate(_WESTERN).decode("cp1252")
    except UnicodeEncodeError:
        return unicodedata.normalize("NFC", _DIACRITICS.sub("", unicodedata.normalize("NFKD", folded)))


def terms_of(question: str) -> list[Term]:
    """The words of a question that say what it is about, each once; "what is this about?" has none."""
    found = list(dict.fromkeys(words(question.replace("_", " "))))[:MOST_WORDS]
    telling = [word for word in found if word not in GRAMMAR and not (len(word) == 1 and word.isascii())]
    return [Term(plain, _stem(plain)) for plain in dict.fromkeys(map(bare, telling))]


def _stem(word: str) -> str | None:
    """`invoic` for `invoices`, `kündig` for `kündigen`; None for a short word, a number or a pair of characters."""
    if len(word) < _STEMMED or UNSPACED.match(word) or any(character.isdecimal() for character in word):
        return None
    return word[: -1 if len(word) < 6 else -2 if len(word) < 9 else -3]


def worth_asking(terms: list[Term], held: Mapping[Term, int], number: int) -> list[Term]:
    """The terms that a search is worth for, the rarest first: `held` says in how many of all passages each is.

    A word that stands everywhere tells nothing beside rarer ones, in whichever language.
    """
    there = sorted((term for term in terms if held[term]), key=lambda term: held[term])
    most = max(_LEAST_TOO_MANY, number * _TOO_MANY)
    return ([term for term in there if held[term] <= most] or there)[:MOST_TERMS]


class Scorer:
    """Scores passages for the terms of a question: BM25, times the share of the terms that a passage holds.

    One that holds both words of "notice period" is worth more than the sum of one with each. `held` says in how many
    of `number` passages each term is.
    """

    def __init__(self, terms: list[Term], held: Mapping[Term, int], number: int) -> None:
        self._terms = terms
        self._pattern = re.compile("|".join(f"(?P<t{at}>{term.pattern})" for at, term in enumerate(terms)))
        self._rarity = [math.log(1 + max(0.5, number - held[term] + 0.5) / (held[term] + 0.5)) for term in terms]
        self._least = min(3, math.ceil(len(terms) / 4))

    def score(self, body: str, above: str) -> float:
        """The score of a passage that has `above` in its headings and its name; 0 if it holds too few of the terms."""
        counts, weights = self._found(body)
        named, _ = self._found(above)
        if len(counts | named) < self._least:
            return 0.0
        norm = _K1 * (1 - _B + _B * len(body) / _AVERAGE)
        total = sum(self._rarity[at] * weights[at] * count * (_K1 + 1) / (count + norm) for at, count in counts.items())
        only_named = named.keys() - counts.keys()
        total += sum(self._rarity[at] * _ABOVE for at in only_named)
        return total * (len(counts) + _ABOVE * len(only_named)) / len(self._terms)

    def _found(self, text: str) -> tuple[Counter[int], dict[int, float]]:
        """How often each term is in a text, by its number, and how well it is met at best."""
        folded = bare(text)
        counts: Counter[int] = Counter()
        weights: dict[int, float] = {}
        for match in self._pattern.finditer(folded):
            at = int((match.lastgroup or "t0")[1:])
            counts[at] += 1
            is_exact = self._terms[at].stem is None or folded.startswith(self._terms[at].word, match.start())
            weights[at] = max(weights.get(at, 0.0), 1.0 if is_exact else _LIKE)
        return counts, weights


def choose(found: Iterable[Passage], max_chars: int) -> list[Passage]:
    """The best of them, best first, as far as `max_chars` go: near duplicates dropped, spread over the documents."""
    ranked = sorted((passage for passage in found if passage.score > 0), key=lambda passage: -passage.score)
    if not ranked:
        return []
    least = ranked[0].score * _NEAR_BEST
    left = {at: passage for at, passage in enumerate(ranked) if passage.score >= least}
    taken: Counter[str] = Counter()
    chosen: list[Passage] = []
    seen: list[tuple[frozenset[str], frozenset[str]]] = []
    while left:
        at = max(left, key=lambda at: left[at].score * _AGAIN ** taken[left[at].document])
        passage = left.pop(at)
        marks = _marks(passage.text)
        if len(passage.text) > max_chars or any(_alike(marks, other) for other in seen):
            continue
        max_chars -= len(passage.text)
        taken[passage.document] += 1
        seen.append(marks)
        chosen.append(passage)
    return chosen


def _marks(text: str) -> tuple[frozenset[str], frozenset[str]]:
    """The words of a text, and the numbers among them."""
    found = frozenset(_WORD.findall(bare(text)))
    return found, frozenset(word for word in found if any(character.isdecimal() for character in word))


def _alike(one: tuple[frozenset[str], frozenset[str]], other: tuple[frozenset[str], frozenset[str]]) -> bool:
    """Whether two texts say the same. Two invoices that differ in a number do not."""
    return one[1] == other[1] and len(one[0] & other[0]) >= _ALIKE * len(one[0] | other[0])


def spread(openings: Iterable[Passage], max_chars: int) -> Iterator[Passage]:
    """As many of them as fit, each cut short so that every document has its share."""
    passages = list(islice(openings, max(1, max_chars // _LEAST_SHARE)))
    share = max(_LEAST_SHARE, max_chars // max(1, len(passages)))
    for passage in passages:
        text = passage.text if len(passage.text) <= share else f"{passage.text[: share - 1].rstrip()}…"
        if len(text) > max_chars:
            return
        max_chars -= len(text)
        yield replace(passage, text=text)
