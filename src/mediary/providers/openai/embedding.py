"""Texts placed in a space of meaning by `/embeddings`."""

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from mediary.providers.http.embedding import EMBED_TIMEOUT, batches, check_vectors, read_embeddings
from mediary.providers.http.encoding import encode
from mediary.providers.http.refusals import ErrorDetail, error_for, words_of
from mediary.providers.http.service import Service

BATCH = 256
"""Texts of a request; OpenAI takes 2,048, others fewer."""


class Embedding(Struct):
    """The vector of a text; `index` says of which, and some leave it out."""

    index: int | None = None
    embedding: list[float] | None = None


class Embeddings(Struct):
    """The answer of `/embeddings`."""

    data: list[Embedding] | None = None
    error: ErrorDetail | str | None = None


_embeddings = msgspec.json.Decoder(Embeddings, strict=False)


async def embed(service: Service, texts: Sequence[str], model: str) -> list[list[float]]:
    """A vector for each text, in order."""
    found: list[list[float]] = []
    for batch in batches(texts, BATCH):
        found += await _embed(service, batch, model)
    return check_vectors(service.name, found, texts)


async def _embed(service: Service, batch: list[str], model: str) -> list[list[float]]:
    body = encode({"model": model, "input": batch, "encoding_format": "float"})
    async with service.open("POST", "/embeddings", total=EMBED_TIMEOUT, body=body) as answer:
        made = await read_embeddings(_embeddings, service.name, answer)
    if made.error:
        raise error_for(service.name, words_of(made.error))
    places = enumerate(made.data or ())
    ordered = sorted(places, key=lambda it: it[0] if it[1].index is None else it[1].index)
    return check_vectors(service.name, [each.embedding for _, each in ordered], batch)
