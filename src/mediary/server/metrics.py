"""The numbers of a server in the words of Prometheus. Imported when they are asked for first."""

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder

from mediary.usage.counters import BUCKETS, Counters, Key

WHO = ("provider", "model")

COUNTERS: Mapping[str, tuple[str, str, tuple[str, ...]]] = {
    "turns": ("mediary_turns", "Turns that ended, by how they did", (*WHO, "outcome")),
    "tokens": ("mediary_tokens", "Tokens as providers counted them; `saved` are among those of the prompt",
               (*WHO, "kind")),
    "cost": ("mediary_cost_dollars", "What turns cost in US dollars, as far as that is known", WHO),
    "unpriced_turns": ("mediary_unpriced_turns", "Turns whose cost is not known", WHO),
    "pictures": ("mediary_pictures", "Pictures that were made", WHO),
    "media_seconds": ("mediary_media_seconds", "Seconds of sounds and videos that were made", WHO),
    "media_bytes": ("mediary_media_bytes", "Bytes of media that were made", WHO),
    "http_requests": ("mediary_http_requests", "Requests that were answered, but for kept files",
                      ("method", "route", "status")),
}  # fmt: skip
HISTOGRAMS: Mapping[str, tuple[str, str, tuple[str, ...]]] = {
    "first_token": ("mediary_first_token_seconds", "Until the first piece of an answer", WHO),
    "turn_duration": ("mediary_turn_seconds", "How long turns took", WHO),
    "http_duration": ("mediary_http_request_seconds", "How long requests took, to the end of the answer", ("route",)),
}


class Exposition:
    """What is told at one moment."""

    def __init__(self, counters: Counters, media_items: int | None) -> None:
        self._values = counters.all()
        self._processes = counters.processes()
        self._media_items = media_items

    def collect(self) -> Iterator[Metric]:
        """The families of metrics; the library calls it so."""
        for name, (title, meaning, labels) in COUNTERS.items():
            counter = CounterMetricFamily(title, meaning, labels=labels)
            for key, value in self._of(name):
                counter.add_metric(key[1:], value)
            yield counter
        for name, (title, meaning, labels) in HISTOGRAMS.items():
            yield self._histogram(name, HistogramMetricFamily(title, meaning, labels=labels))
        running = self._values.get(("now_running_turns",), 0.0)
        yield GaugeMetricFamily("mediary_running_turns", "Turns that go on", running)
        yield GaugeMetricFamily("mediary_processes", "Processes that serve", len(self._processes))
        if memory := _resident(self._processes):
            yield GaugeMetricFamily("mediary_resident_memory_bytes", "Memory of these processes", memory)
        if self._media_items is not None:
            yield GaugeMetricFamily("mediary_media_items", "Items in the media library", self._media_items)

    def _of(self, name: str) -> Iterable[tuple[Key, float]]:
        return sorted((key, value) for key, value in self._values.items() if key[0] == name)

    def _histogram(self, name: str, family: HistogramMetricFamily) -> HistogramMetricFamily:
        """Add up the buckets: each holds what is in those below, too."""
        counts: dict[tuple[str, ...], list[float]] = {}
        for (_, *labels, bucket), value in self._of(name):
            counts.setdefault(tuple(labels), [0.0] * (len(BUCKETS) + 1))[int(bucket)] += value
        for who, found in counts.items():
            bounds = [*map(str, BUCKETS), "+Inf"]
            reached, buckets = 0.0, []
            for bound, count in zip(bounds, found, strict=True):
                reached += count
                buckets.append((bound, reached))
            family.add_metric(who, buckets, self._values.get((f"{name}_sum", *who), 0.0))
        return family


def expose(counters: Counters, media_items: int | None, accept: str) -> tuple[bytes, str]:
    """The page, in the format that is asked for, and its type."""
    encode, content_type = choose_encoder(accept)
    return encode(Exposition(counters, media_items)), content_type


def _resident(processes: Iterable[int]) -> int:
    """Bytes of memory, as far as the system tells."""
    total = 0
    for process in processes:
        try:
            total += int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        except (OSError, IndexError):
            continue
    return total
