"""Finds the passages of a few texts that bear on a question: those that are at hand, and in no index."""

import re
from collections.abc import Iterable, Iterator
from itertools import islice

from mediary.passages.cut import cut
from mediary.passages.passage import Passage
from mediary.passages.rank import MOST_TERMS, Scorer, Term, bare, choose, terms_of, worth_asking

MOST_PASSAGES = 4000
"""That are looked at."""


def find(texts: Iterable[tuple[str, str]], question: str, max_chars: int) -> list[Passage]:
    """The passages of texts, by their documents' names, that bear on a question, as the index of a bucket has them.

    Best first, with at most `max_chars` characters together. It blocks: a second for ten megabytes.
    """
    cuts = list(islice(_cuts(texts), MOST_PASSAGES))
    folded = [bare(body) for _, _, body in cuts]
    holding = {term: _holding(term, folded) for term in terms_of(question)[:MOST_TERMS]}
    held = {term: len(found) for term, found in holding.items()}
    terms = worth_asking(list(held), held, len(cuts))
    if not terms:
        return []
    scorer = Scorer(terms, held, len(cuts))
    bearing = sorted({at for term in terms for at in holding[term]})
    return choose((_scored(scorer, *cuts[at]) for at in bearing), max_chars)


def _holding(term: Term, folded: list[str]) -> list[int]:
    """The numbers of the texts that hold a term. To look for its letters first takes a tenth of the time."""
    letters, pattern = term.stem or term.word, re.compile(term.pattern)
    return [at for at, text in enumerate(folded) if letters in text and pattern.search(text)]


def _scored(scorer: Scorer, name: str, context: str, body: str) -> Passage:
    text = f"{context}\n\n{body}" if context else body
    return Passage(name, text, scorer.score(body, f"{name}\n{context}"))


def _cuts(texts: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str, str]]:
    """Document, context and text of every passage."""
    for name, text in texts:
        for made in cut([text.encode("utf-8", "replace")]):
            yield name, made.context, made.text
