"""Refinement: of each chunk of a bucket's text, the sentences that carry it, in `spacy_0001.cache` …"""

import math
import shutil
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from functools import partial
from importlib.util import find_spec
from itertools import accumulate
from pathlib import Path
from typing import Any

from mediary.buckets.bucket import Bucket
from mediary.buckets.document import Document
from mediary.buckets.locks import claimed
from mediary.buckets.naming import REFINED, REFINED_LOCK, WHAT
from mediary.buckets.reading.ahead import in_order
from mediary.buckets.reading.caches import (
    END,
    Made,
    Part,
    are_as_made,
    find_caches,
    head,
    put_in_place,
    read_index,
    snapshot,
)
from mediary.buckets.reading.refining import MOST_TERMS, Span
from mediary.errors import MissingExtraError
from mediary.sandbox.pool import Sandbox
from mediary.shared_work import Shared, Work
from mediary.storage.files import in_thread, translated

_COUNT = "mediary.buckets.reading.refining:count"
_REFINE = "mediary.buckets.reading.refining:refine"
_SECONDS = 120.0
_INDEX = "refined.json"


class Refinements:
    """Refines buckets, each once however many wait for it, and for as long as anybody does."""

    def __init__(self, sandbox: Sandbox, ahead: int) -> None:
        self._sandbox = sandbox
        self._ahead = ahead
        self._works: Shared[str, Made] = Shared()

    def check(self) -> None:
        """MissingExtraError if spaCy is not installed."""
        if find_spec("spacy") is None:
            raise MissingExtraError('Refinement takes spaCy, which is not installed: pip install "mediary[refine]"')

    async def sizes(self, bucket: Bucket, documents: Sequence[Document]) -> AsyncGenerator[int, None]:
        """Refine the text of these documents; the size of the refined text as it grows, and at the end."""
        size = 0
        async with self._joined(bucket, documents) as work:
            async with aclosing(work.sizes()) as sizes:
                async for size in sizes:
                    yield size
            made = await work.result()
        if (whole := sum(was.size for was in made.files.values())) != size:
            yield whole

    async def text(self, bucket: Bucket, documents: Sequence[Document]) -> AsyncGenerator[bytes, None]:
        """The refined text of these documents, chunk by chunk."""
        async with self._joined(bucket, documents) as work:
            made = await work.result()
        for name in made.files:
            with translated(WHAT, name):
                chunk = await in_thread((bucket.folder / name).read_bytes)
            if chunk:
                yield chunk

    async def close(self) -> None:
        """End all work."""
        await self._works.close()

    def _joined(self, bucket: Bucket, documents: Sequence[Document]) -> AbstractAsyncContextManager[Work[Made]]:
        refinement = _Refinement(bucket, documents, self._sandbox, self._ahead)
        return self._works.joined(bucket.id, lambda: Work(refinement, f"refinement of {bucket.id}"))


class _Refinement:
    """The refining of one bucket: one pass over its chunks to learn its terms, one to choose."""

    def __init__(self, bucket: Bucket, documents: Sequence[Document], sandbox: Sandbox, ahead: int) -> None:
        self._bucket = bucket
        self._documents = documents
        self._sandbox = sandbox
        self._ahead = ahead
        self._staging = bucket.hidden / REFINED

    async def __call__(self, progress: Work[Made]) -> Made:
        """What was made, by this process now or by any before."""
        async with claimed(self._bucket.hidden / REFINED_LOCK):
            try:
                return await self._make(progress)
            finally:
                await in_thread(partial(shutil.rmtree, self._staging, ignore_errors=True))

    async def _make(self, progress: Work[Made]) -> Made:
        found = await find_caches(self._bucket, self._documents)
        if found and (made := await in_thread(partial(self._find, found))):
            return made
        # Copies: a later upload may change the caches meanwhile.
        plain = await snapshot(self._bucket, self._documents, self._staging)
        chunks = await in_thread(partial(self._spans, plain))
        weights = _weights(await self._count(chunks))
        refined: list[Path] = []
        works = (partial(self._refine, path, spans, weights) for path, spans in chunks)
        async with aclosing(in_order(works, self._ahead)) as texts:
            async for text in texts:
                refined.append(self._staging / f"spacy_{len(refined) + 1:04}.cache")
                await in_thread(partial(_write, refined[-1], text))
                progress.grow(len(text))
        return await in_thread(partial(self._put, plain, refined))

    async def _count(self, chunks: Sequence[tuple[Path, list[Span]]]) -> tuple[int, dict[str, list[int]]]:
        """How many passages there are; of the most frequent terms, how often each occurs and in how many passages."""
        passages, occurrences, spread = 0, Counter[str](), Counter[str]()
        works = (partial(self._run, _COUNT, path, spans) for path, spans in chunks)
        async with aclosing(in_order(works, self._ahead)) as counts:
            async for number, terms in counts:
                passages += number
                for term, (often, passages_with) in terms.items():
                    occurrences[term] += often
                    spread[term] += passages_with
                if len(occurrences) > 4 * MOST_TERMS:
                    occurrences = Counter(dict(occurrences.most_common(2 * MOST_TERMS)))
        return passages, {term: [often, spread[term]] for term, often in occurrences.most_common(MOST_TERMS)}

    async def _refine(self, path: Path, spans: list[Span], weights: dict[str, float]) -> bytes:
        text: str = await self._run(_REFINE, path, spans, weights)
        return text.encode()

    async def _run(self, function: str, path: Path, *arguments: Any) -> Any:
        return await self._sandbox.run(function, *arguments, seconds=_SECONDS, source=path)

    def _spans(self, plain: Made) -> list[tuple[Path, list[Span]]]:
        """Each chunk, and where it has text of which document, by what the whole text was made of."""
        languages = {each.name: each.language or each.asked_language for each in self._documents}
        texts: list[Span] = []
        at = 0
        for name, was in plain.parts:
            at += len(head(name))
            texts.append((at, at + was.size, languages.get(name)))
            at += was.size + len(END)
        ends = accumulate(plain.files[name].size for name in plain.chunks)
        return [
            (self._staging / name, _clipped(texts, end - plain.files[name].size, end))
            for name, end in zip(plain.chunks, ends, strict=True)
        ]

    def _find(self, plain: Made) -> Made | None:
        with translated(WHAT):
            made = read_index(self._bucket.hidden / _INDEX)
            fits = made.parts == _chunks(plain) and are_as_made(self._bucket.folder, made)
            return made if fits else None

    def _put(self, plain: Made, refined: Sequence[Path]) -> Made:
        with translated(WHAT):
            index = self._bucket.hidden / _INDEX
            return put_in_place(self._bucket.folder, index, Made(_chunks(plain)), refined, "spacy_*.cache")


def _write(path: Path, text: bytes) -> None:
    with translated(WHAT):
        path.write_bytes(text)


def _chunks(plain: Made) -> list[Part]:
    return [Part(name, plain.files[name]) for name in plain.chunks]


def _clipped(texts: Sequence[Span], start: int, end: int) -> list[Span]:
    """The parts of texts between two places, counted from the first."""
    return [
        (max(first, start) - start, min(last, end) - start, language)
        for first, last, language in texts
        if first < end and last > start
    ]


def _weights(counted: tuple[int, dict[str, list[int]]]) -> dict[str, float]:
    """What a term tells of the bucket: it is frequent, and not everywhere; rare ones are of little weight."""
    passages, terms = counted
    return {
        term: math.log(1 + often) * math.sqrt(math.log(1 + passages / max(1, passages_with)))
        for term, (often, passages_with) in terms.items()
    }
