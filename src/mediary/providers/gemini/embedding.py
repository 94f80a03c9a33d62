"""Texts placed in a space of meaning by `:batchEmbedContents`."""

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from mediary.providers.http.embedding import EMBED_TIMEOUT, batches, check_vectors, read_embeddings
from mediary.providers.http.encoding import encode
from mediary.providers.http.refusals import ErrorDetail, error_for, words_of
from mediary.providers.http.service import Service

BATCH = 100
"""Texts of a request; the service takes no more."""


class Embedding(Struct):
    """The vector of a text."""

    values: list[float] | None = None


class Embeddings(Struct):
    """The answer of `:batchEmbedContents`, in the order of the question."""

    embeddings: list[Embedding] | None = None
    error: ErrorDetail | str | None = None


_embeddings = msgspec.json.Decoder(Embeddings, strict=False)


async def embed(service: Service, texts: Sequence[str], path: str) -> list[list[float]]:
    """A vector for each text, in order; `path` is where the model is, such as `models/gemini-embedding-001`."""
    found: list[list[float]] = []
    for batch in batches(texts, BATCH):
        found += await _embed(service, batch, path)
    return check_vectors(service.name, found, texts)


async def _embed(service: Service, batch: list[str], path: str) -> list[list[float]]:
    body = encode({"requests": [{"model": path, "content": {"parts": [{"text": text}]}} for text in batch]})
    async with service.open("POST", f"/{path}:batchEmbedContents", total=EMBED_TIMEOUT, body=body) as answer:
        made = await read_embeddings(_embeddings, service.name, answer)
    if made.error:
        raise error_for(service.name, words_of(made.error))
    return check_vectors(service.name, [each.values for each in made.embeddings or ()], batch)
