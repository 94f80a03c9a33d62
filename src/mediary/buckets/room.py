"""The buckets, and all that works on them, in one place: what is served, asked and managed."""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from mediary.buckets.bucket import Buckets
from mediary.buckets.bucket import bucket_id as checked_id
from mediary.errors import SettingsError
from mediary.net.client import HttpClient
from mediary.sandbox.pool import Sandbox
from mediary.settings import BucketSettings

if TYPE_CHECKING:
    from mediary.buckets.crawl.crawler import Crawler
    from mediary.buckets.intake.upload import Intake
    from mediary.buckets.media import MediaKeeper, Transcribe
    from mediary.buckets.passages.ask import Passages
    from mediary.buckets.reading.stream import Reading
    from mediary.buckets.reading.text import Texts
    from mediary.extractors.base import Extracts

NICE = 15
"""The priority of reading documents: whoever asks for what is there goes first."""


class BucketRoom:
    """The buckets in the folder `root`; documents are read in child processes, which can read nothing else.

    `media` keeps what can be seen and heard; `transcribe` turns speech into text, if anybody can. Parts that many
    servers never need are made when they are first used: an idle server is small.
    """

    def __init__(
        self,
        root: Path,
        settings: BucketSettings,
        http: HttpClient,
        media: "MediaKeeper",
        transcribe: "Transcribe | None" = None,
    ) -> None:
        self.settings = settings
        self.sandbox = Sandbox(settings.processes, readable=[], memory_bytes=settings.memory_bytes, nice=NICE)
        self.buckets = Buckets(root)
        self._http = http
        self._media = media
        self._transcribe = transcribe

    @cached_property
    def extractors(self) -> "Extracts":
        """Tells documents by their bytes, and reads them."""
        from mediary.extractors.registry import Extractors

        return Extractors(self.sandbox, ocr=self.settings.ocr)

    @cached_property
    def texts(self) -> "Texts":
        """Makes the texts of documents."""
        from mediary.buckets.reading.text import Texts

        return Texts(self.extractors, self.settings)

    @cached_property
    def passages(self) -> "Passages":
        """Finds what bears on a question."""
        from mediary.buckets.passages.ask import Passages

        return Passages(self.texts)

    @cached_property
    def intake(self) -> "Intake":
        """Takes files into buckets."""
        from mediary.buckets.intake.unpack import Unpacker
        from mediary.buckets.intake.upload import Intake

        unpacker = Unpacker(self.sandbox, self.settings)
        return Intake(self.buckets, self.extractors, unpacker, self._media, self.settings, self._transcribe)

    @cached_property
    def crawler(self) -> "Crawler":
        """Fetches what a bucket's downloads.json names."""
        from mediary.buckets.crawl.crawler import Crawler

        return Crawler(self._http, self.intake, self.sandbox, self.settings)

    @cached_property
    def reading(self) -> "Reading":
        """Reads buckets out."""
        from mediary.buckets.reading.stream import Reading

        return Reading(self.texts, self.crawler, self.sandbox)

    async def start(self) -> None:
        """Remove what a killed process left."""
        await self.buckets.recover()

    async def delete(self, bucket_id: str) -> None:
        """Delete a bucket with all that is in it; what works on it is stopped. NotFoundError if there is none."""
        checked = checked_id(bucket_id)
        if self._has("crawler"):
            await self.crawler.stop(checked)
        if self._has("texts"):
            await self.texts.stop(checked)
        await self.buckets.delete(checked)

    async def close(self) -> None:
        """End all work on the buckets; what is not done is done when it is needed again."""
        if self._has("crawler"):
            await self.crawler.close()
        if self._has("reading"):
            await self.reading.close()
        if self._has("texts"):
            await self.texts.close()
        await self.sandbox.close()
        await self.buckets.close()

    def _has(self, part: str) -> bool:
        """Whether a part was used yet."""
        return part in vars(self)


def ensure_bucket_dir(root: Path) -> Path:
    """The folder of the buckets, made if need be: child processes can read it if it is there when they start."""
    root = root.absolute()
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"the folder of the buckets {root} cannot be made: {error.strerror}") from error
    return root
