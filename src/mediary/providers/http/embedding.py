"""Texts as points in a space of meaning: which models place them there, and what their answers must be."""

import asyncio
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from math import isfinite
from typing import TypeVar

import msgspec

from mediary.errors import ProviderError
from mediary.providers.http.decoding import UnreadableError, decode
from mediary.providers.http.refusals import read_words
from mediary.providers.http.service import Answer

T = TypeVar("T")

EMBED_TIMEOUT = 120.0
"""Seconds for a batch; a model of one's own may have to be loaded before."""
MAX_ANSWER = 64 * 1024**2
"""Bytes of the answer to a batch."""
BATCH_CHARACTERS = 200_000
"""Of the texts that are sent together; OpenAI takes 300,000 tokens at once, and no text has more than characters."""

_NAMES = (
    "*embed*",
    "*minilm*",
    "bge-*",
    "gte-*",
    "e5-*",
    "*-e5-*",
    "*paraphrase*",
    "text-similarity-*",
    "text-search-*",
    "voyage-*",
)


def is_embedder(model: str) -> bool:
    """Whether a model places texts in a space of meaning, going by its id alone."""
    name = model.rpartition("/")[2].casefold()
    return any(fnmatchcase(name, pattern) for pattern in _NAMES)


def batches(texts: Sequence[str], most: int) -> Iterator[list[str]]:
    """The texts in their order, in as few requests as may be, of `most` texts each.

    Services refuse an empty text: a blank stands for it.
    """
    batch: list[str] = []
    size = 0
    for text in texts:
        if batch and (len(batch) == most or size + len(text) > BATCH_CHARACTERS):
            yield batch
            batch, size = [], 0
        batch.append(text or " ")
        size += len(text)
    if batch:
        yield batch


async def read_embeddings(decoder: msgspec.json.Decoder[T], name: str, answer: Answer) -> T:
    """The answer to a batch; ProviderError if it cannot be read."""
    body = await answer.read(MAX_ANSWER)
    try:
        return await asyncio.to_thread(decode, decoder, body)
    except UnreadableError:
        raise ProviderError(f"{name}: its vectors cannot be read: {read_words(body).message}") from None


def check_vectors(name: str, vectors: Sequence[Sequence[float] | None], texts: Sequence[str]) -> list[list[float]]:
    """The vectors of some texts; ProviderError unless there is one for each, all of one length and of numbers."""
    found = [list(vector) for vector in vectors if vector]
    if len(found) != len(texts):
        raise ProviderError(f"{name}: sent {len(found)} vectors for {len(texts)} texts")
    if len({len(vector) for vector in found}) > 1 or not all(isfinite(sum(vector)) for vector in found):
        raise ProviderError(f"{name}: sent vectors of several lengths, or of what is no number")
    return found
