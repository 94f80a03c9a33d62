"""Videos by `:predictLongRunning`, as Veo makes them: an operation is begun, and followed to its end."""

import asyncio
import base64
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import msgspec
from msgspec import Struct

from mediary.errors import FieldError, ProviderError
from mediary.events import Event, Finish, FinishReason, Media
from mediary.providers.base import TurnRequest
from mediary.providers.http.decoding import UnreadableError, decode
from mediary.providers.http.encoding import encode, work_on
from mediary.providers.http.fetching import Wait, media_behind
from mediary.providers.http.jobs import Following
from mediary.providers.http.pictures import originals
from mediary.providers.http.refusals import ErrorDetail, error_for, read_words, words_of
from mediary.providers.http.service import Answer, Service
from mediary.providers.http.videos import length_of, shape_of

LABEL = "Video"
SHAPES = ("16:9", "9:16")
"""The aspect ratios that there are."""
MAX_ANSWER = 256 * 1024 * 1024
"""Bytes of an answer; the video may stand in it."""

_HEAVY = 1024 * 1024  # bytes from which decoding an answer is worth a thread


class File(Struct, rename="camel"):
    """A video: where it is, or its bytes as base64, under one of two names."""

    uri: str | None = None
    encoded_video: str | None = None
    bytes_base64_encoded: str | None = None


class Sample(Struct):
    """One of the videos."""

    video: File | None = None


class Made(Struct, rename="camel"):
    """What came of it: videos, and why others are held back."""

    generated_samples: list[Sample] | None = None
    rai_media_filtered_reasons: list[str] | None = None


class Response(Struct, rename="camel"):
    """The outcome of an operation; other services that speak this wire give the videos at once."""

    generate_video_response: Made | None = None
    videos: list[File] | None = None


class Operation(Struct):
    """Work behind the request: over with a response, or with an error."""

    name: str | None = None
    done: bool | None = None
    error: ErrorDetail | str | None = None
    response: Response | None = None


@dataclass(slots=True, frozen=True)
class Job:
    """An operation as it was told last."""

    operation: Operation
    state: str = "in progress"

    @property
    def is_over(self) -> bool:
        """Whether nothing more is to come of it."""
        return bool(self.operation.done)


_operations = msgspec.json.Decoder(Operation, strict=False)


async def make_videos(service: Service, request: TurnRequest, model: str) -> AsyncGenerator[Event | Media, None]:
    """A video of the prompt; pictures of the user's last message are its first frame, and its last.

    `model` is the path of the model. The API has no way to end what was begun.
    """
    wait = Wait.of(request)
    body = await work_on(request, _body, request)
    async with service.open("POST", f"{model}:predictLongRunning", total=wait.left, body=body) as answer:
        begun = await _read(service.name, answer)
        if not begun.name and not begun.done:
            raise ProviderError(f"{service.name}: does not say how to ask for the video")
    path = "/" + quote((begun.name or "").partition("?")[0], safe="/:")

    async def look(seconds: float) -> tuple[Job, Mapping[str, str]]:
        async with service.open("GET", path, total=seconds) as answer:
            return Job(await _read(service.name, answer)), answer.headers

    following = Following(service.name, Job(begun), answer.headers, look, wait.deadline)
    async with aclosing(following.events(LABEL)) as states:
        async for state in states:
            yield state
    for file in _files(service, following.job.operation):
        if data := file.encoded_video or file.bytes_base64_encoded:
            yield Media(kind="video", data=data, alt=request.prompt)
            continue
        async with aclosing(media_behind(service, file.uri or "", "video", request.prompt, wait)) as videos:
            async for video in videos:
                yield video
    yield Finish(finish=FinishReason(reason="stop"))


def _body(request: TurnRequest) -> bytes:
    pictures = originals(request)
    if len(pictures) > 2:
        raise FieldError("messages", f"{request.model} takes two pictures, the first and the last frame")
    instance: dict[str, Any] = {"prompt": request.prompt}
    for name, picture in zip(("image", "lastFrame"), pictures, strict=False):
        data = base64.b64encode(picture.data).decode("ascii")
        instance[name] = {"bytesBase64Encoded": data, "mimeType": picture.media_type}
    options = request.options
    ratio, resolution = shape_of(options, SHAPES)
    length = length_of(options)
    said = {
        "aspectRatio": ratio,
        "resolution": resolution,
        "durationSeconds": None if length is None else float(length) if "." in length else int(length),
        "negativePrompt": options.get("negative_prompt"),
        "seed": options.get("seed"),
        "sampleCount": options.get("n"),
    }
    parameters = {name: value for name, value in said.items() if value is not None}
    return encode({"instances": [instance], **({"parameters": parameters} if parameters else {})})


async def _read(name: str, answer: Answer) -> Operation:
    body = await answer.read(MAX_ANSWER)
    try:
        decoding = asyncio.to_thread(decode, _operations, body) if len(body) > _HEAVY else None
        return await decoding if decoding else decode(_operations, body)
    except UnreadableError:
        raise ProviderError(f"{name}: its answer cannot be read: {read_words(body).message}") from None


def _files(service: Service, operation: Operation) -> list[File]:
    """The videos; raises why there are none."""
    if operation.error:
        raise service.hiding(error_for(service.name, words_of(operation.error)))
    response = operation.response or Response()
    made = response.generate_video_response or Made()
    found = [sample.video for sample in made.generated_samples or () if sample.video] + (response.videos or [])
    files = [file for file in found if file.uri or file.encoded_video or file.bytes_base64_encoded]
    if not files:
        reasons = " ".join(made.rai_media_filtered_reasons or ())
        raise service.hiding(ProviderError(f"{service.name}: {reasons or 'made no video'}"))
    return files
