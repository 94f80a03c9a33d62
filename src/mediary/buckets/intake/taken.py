"""What became of an upload."""

from dataclasses import dataclass, field

from mediary.buckets.document import Document


@dataclass(slots=True, frozen=True)
class BucketMedia:
    """A picture, sound or video of a bucket: its size in pixels and the words in it, where it has them."""

    name: str
    width: int | None = None
    height: int | None = None
    text: str | None = None


@dataclass(slots=True, frozen=True)
class Rejected:
    """A file that was not taken, and why."""

    name: str
    reason: str


@dataclass(slots=True)
class Taken:
    """What became of an upload; `downloads` is the number of addresses that are to be fetched now, if that was set."""

    documents: list[Document] = field(default_factory=list)
    media: list[BucketMedia] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    downloads: int | None = None
