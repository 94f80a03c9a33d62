"""What the headers of media files tell: type, size, duration, and how they were made. For child processes."""

import os
import re
from typing import Any, BinaryIO

from mediary.errors import UnreadableError
from mediary.formats import JPEG, M4A, MP4, SNIFF_BYTES, Format, detect
from mediary.media.decoding.chunks import Said, jpeg_frame_header, read_chunks
from mediary.media.decoding.exif import read_exif
from mediary.media.decoding.generation import Generation, clean_text, make_generation, read_generation
from mediary.media.decoding.probe import dimensions, require_pixels
from mediary.media.decoding.untrusted import Bytes, open_bytes
from mediary.media.decoding.xmp import Xmp, read_xmp

MAX_TAGS = 50
MAX_TAG = 100
MAX_WORDS = 2_000

Facts = dict[str, Any]
"""Fields of a MediaItem."""

# What anything may have written, and says nothing of how the picture was made.
_NO_GENERATOR = re.compile(r"(lavf|lavc|libvips|pillow|imagemagick|gimp|adobe photoshop|exiftool)", re.IGNORECASE)
_MADE_BY_A_MODEL = ("trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia")


def read_facts(paths: list[str], max_pixels: int) -> list[Facts]:
    """What each file's headers tell, in order; of one that cannot be read, why, as its `problem`."""
    return [_facts(path, max_pixels) for path in paths]


def read_shape(source: BinaryIO, max_pixels: int) -> Facts:
    """How large a picture is to see, whose file is open; UnreadableError if that cannot be told."""
    file = Bytes(source.fileno(), os.fstat(source.fileno()).st_size)
    facts: Facts = {}
    _read_picture(file, _format(file), max_pixels, facts)
    return {"width": facts["width"], "height": facts["height"]}


def _facts(path: str, max_pixels: int) -> Facts:
    facts: Facts = {}
    try:
        with open_bytes(path) as file:
            found = _format(file)
            facts |= {"media_type": found.media_type, "kind": found.kind}
            if found.kind == "image":
                _read_picture(file, found, max_pixels, facts)
            else:
                _read_played(path, file, found, max_pixels, facts)
    except UnreadableError as error:
        facts["problem"] = error.message
    except FileNotFoundError:
        facts["problem"] = "there is no such file"
    return facts


def _format(file: Bytes) -> Format:
    if not file.size:
        raise UnreadableError("it is empty")
    found = detect(file.head[:SNIFF_BYTES])
    if found is None:
        raise UnreadableError("its bytes are none of the media formats that are known here")
    return found


def _read_picture(file: Bytes, found: Format, max_pixels: int, facts: Facts) -> None:
    said = read_chunks(file, found)
    texts, turned = read_exif(said.exif)
    facts |= _making(said, texts)
    size = dimensions(file.head) or _late_dimensions(file, found)
    if size is None:
        raise UnreadableError("its header is cut short, or broken")
    facts["width"], facts["height"] = reversed(size) if turned else size
    require_pixels(*size, max_pixels)


def _late_dimensions(file: Bytes, found: Format) -> tuple[int, int] | None:
    """The size of a JPEG behind more metadata than the first bytes hold."""
    header = jpeg_frame_header(file) if found.media_type == JPEG.media_type else b""
    return dimensions(b"\xff\xd8" + header) if header else None


def _read_played(path: str, file: Bytes, found: Format, max_pixels: int, facts: Facts) -> None:
    # imported here: PyAV takes as long as a hundred pictures
    from mediary.media.decoding.played import read_played

    said = read_chunks(file, found)
    played = read_played(path, max_pixels)
    said.texts |= played.texts
    facts |= _making(said, {})
    if played.duration is not None:
        facts["duration"] = played.duration
    if played.size is not None:
        facts["width"], facts["height"] = played.size
        require_pixels(*played.size, max_pixels)
    elif found is MP4 and played.only_sound:  # its first bytes do not tell
        facts |= {"media_type": M4A.media_type, "kind": M4A.kind}


def _making(said: Said, exif: dict[str, str]) -> Facts:
    """How a file was made, and what it says of its content; nothing of what it does not say, but for C2PA."""
    xmp = read_xmp(said.xmp)
    texts = {**exif, **said.texts}
    if xmp.comment:
        texts.setdefault("UserComment", xmp.comment)
    made = read_generation(texts) or make_generation(xmp.prompt, model=xmp.system)
    facts: Facts = {field: value for field in _FIELDS if (value := getattr(made, field))}
    if "generator" not in facts and (generator := _generator(texts, xmp)):
        facts["generator"] = generator
    if words := _description(texts, xmp, made):
        facts["alt"] = words
    if xmp.subjects:
        facts["tags"] = [clean_text(subject, MAX_TAG) for subject in xmp.subjects[:MAX_TAGS]]
    return {**facts, "c2pa": said.c2pa}


_FIELDS = ("prompt", "negative_prompt", "model", "seed", "steps", "generator")


def _generator(texts: dict[str, str], xmp: Xmp) -> str | None:
    """The program or the service that says it made the picture."""
    named = (texts.get("Software"), xmp.system, xmp.tool, xmp.credit if xmp.source_type in _MADE_BY_A_MODEL else None)
    for name in named:
        if name and not _NO_GENERATOR.search(name):
            return clean_text(name, MAX_WORDS)
    return xmp.source_type if xmp.source_type in _MADE_BY_A_MODEL else None


def _description(texts: dict[str, str], xmp: Xmp, made: Generation) -> str:
    """What the file says it shows, unless that is the prompt again, or data."""
    for text in (xmp.description, texts.get("ImageDescription"), texts.get("Description")):
        words = clean_text(text, MAX_WORDS)
        if words and words[0] not in "{[" and not made.prompt.startswith(words) and "Job ID:" not in words:
            return words
    return ""
