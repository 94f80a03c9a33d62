"""The media of a bucket: what is seen and heard in them, and the documents that this makes."""

import asyncio
import struct
import zlib
from pathlib import Path

import pytest
import pyvips
from tests.buckets.uploads import chunks, files, lines, opened, put

from mediary.buckets.media import list_media
from mediary.errors import ProviderError
from mediary.extractors import ocr
from mediary.formats import Format

WAV = b"RIFF" + (36).to_bytes(4, "little") + b"WAVEfmt " + bytes(28)


def png(seed: int = 0) -> bytes:
    """A picture of one pixel, with a word that makes it one of its kind."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    seeded = chunk(b"tEXt", b"seed\0" + str(seed).encode())
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + seeded
        + chunk(b"IDAT", zlib.compress(b"\0\0"))
        + chunk(b"IEND", b"")
    )


class Ear:
    """Hears what it is told, once everybody has come who should."""

    def __init__(self, says: str, waits_for: int = 1) -> None:
        self.says = says
        self.asked: list[tuple[str, str, str | None]] = []
        self._waits_for = waits_for
        self._all = asyncio.Event()

    async def __call__(self, path: Path, found: Format, language: str | None) -> str:
        self.asked.append((path.name, found.media_type, language))
        if len(self.asked) == self._waits_for:
            self._all.set()
        await self._all.wait()
        return self.says


async def test_speech_becomes_a_document(tmp_path: Path):
    ear = Ear(" Guten Tag. \n")
    async with opened(tmp_path, transcribe=ear) as (buckets, intake):
        bucket = await buckets.open("a")
        taken = await put(intake, bucket, "talk.wav", WAV, language="de")
        assert [(one.name, one.width, one.text) for one in taken.media] == [("talk.wav", None, "Guten Tag.")]
        assert [(one.name, one.state, one.original) for one in taken.documents] == [
            ("talk.wav.md", "ready", "talk.wav")
        ]
        assert ear.asked == [("talk.wav", "audio/wav", "de")]
        assert files(bucket.folder) == {
            "files.txt": b"talk.wav.md\n",
            "media/talk.wav": WAV,
            "talk.wav.md": b"Guten Tag.",
        }
        again = await put(intake, bucket, "talk.wav", WAV)
        assert again.media == taken.media
        assert len(ear.asked) == 1, "what was heard once is known"
        assert lines(bucket.folder) == ["talk.wav.md"]


async def test_media_without_words_are_no_documents(tmp_path: Path):
    async with opened(tmp_path, transcribe=Ear(" \n")) as (buckets, intake):
        bucket = await buckets.open("a")
        async with intake.upload(bucket) as upload:
            await upload.take("p.png", chunks(png()))
            await upload.take("s.wav", chunks(WAV))
            taken = await upload.finish()
        assert [(one.name, one.width, one.height, one.text) for one in taken.media] == [
            ("p.png", 3, 2, None),
            ("s.wav", None, None, None),
        ]
        assert taken.documents == [] and await bucket.manifest.names() == []


async def test_what_cannot_be_heard_fails_no_upload(tmp_path: Path):
    async def deaf(*_: object) -> str:
        raise ProviderError("the service is gone")

    async with opened(tmp_path, transcribe=deaf) as (buckets, intake):
        bucket = await buckets.open("a")
        taken = await put(intake, bucket, "s.wav", WAV)
        assert [(one.name, one.text) for one in taken.media] == [("s.wav", None)] and taken.rejected == []


async def test_media_are_heard_side_by_side_while_the_next_come(tmp_path: Path):
    ear = Ear("words", waits_for=3)
    async with opened(tmp_path, transcribe=ear) as (buckets, intake):
        bucket = await buckets.open("a")
        async with intake.upload(bucket) as upload:
            for number in range(3):
                await upload.take(f"{number}.wav", chunks(WAV + bytes([number])))
            taken = await upload.finish()
        assert [one.name for one in taken.media] == ["0.wav", "1.wav", "2.wav"]
        assert sorted(lines(bucket.folder)) == ["0.wav.md", "1.wav.md", "2.wav.md"]


async def test_an_upload_that_ends_early_stops_listening(tmp_path: Path):
    ear = Ear("words", waits_for=2)
    async with opened(tmp_path, transcribe=ear) as (buckets, intake):
        bucket = await buckets.open("a")
        async with intake.upload(bucket) as upload:
            await upload.take("a.wav", chunks(WAV))
        assert await bucket.manifest.names() == []
        assert (bucket.media_dir / "a.wav").read_bytes() == WAV


async def test_media_are_listed_in_pages(tmp_path: Path):
    async with opened(tmp_path) as (buckets, intake):
        bucket = await buckets.open("a")
        assert (await list_media(bucket)).files == ()
        for number in range(3):
            await put(intake, bucket, f"{number}.png", png(number))
        first = await list_media(bucket, limit=2)
        assert [(file.name, file.size) for file in first.files] == [("0.png", len(png(0))), ("1.png", len(png(1)))]
        assert [file.name for file in (await list_media(bucket, first.next, 2)).files] == ["2.png"]


@pytest.mark.skipif(not ocr.available(), reason="Tesseract or its data are not installed")
async def test_the_words_in_a_picture_become_a_document(tmp_path: Path):
    words = pyvips.Image.text("The quick brown fox", dpi=200).invert().embed(40, 40, 900, 200, extend="white")
    async with opened(tmp_path, ocr=True) as (buckets, intake):
        bucket = await buckets.open("a")
        taken = await put(intake, bucket, "scan.png", words.write_to_buffer(".png"), language="en")
        assert [one.text for one in taken.media] == ["The quick brown fox"]
        assert [one.name for one in taken.documents] == ["scan.png.md"] == lines(bucket.folder)
        assert (bucket.folder / "scan.png.md").read_text() == "The quick brown fox"


async def test_media_of_a_bucket_that_goes_while_they_are_listed(tmp_path: Path):
    async with opened(tmp_path) as (buckets, _):
        bucket = await buckets.open("a")
        for _ in range(300):
            bucket.media_dir.mkdir()
            listing = asyncio.create_task(list_media(bucket))
            await asyncio.to_thread(bucket.media_dir.rmdir)
            assert (await listing).files == ()
