"""ElevenLabs as a strict peer: it refuses what ElevenLabs refuses, speaks in tones, and breaks where told to.

Its rules are those of the reference and of the official client.
"""

import asyncio
import math
import struct
from array import array
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from mediary.sounds import FORMATS

KEY = "sk_0123456789abcdef0123456789abcdef0123456789abcdef"
SPEECH_ONLY_KEY = "sk_speech_only_0123456789abcdef"
"""A key that may speak, and read nothing."""
RACHEL, GEORGE = "21m00Tcm4TlvDq8ikWAM", "JBFqnCBsd6RMkjVDRZzb"
FROM_LIBRARY = "EXAVITQu4vr4xnSDxMaL"
"""A voice that may be used, and is not in the account's list."""
MILLISECONDS_A_LETTER = 20

_PIECE = 4095  # odd: it cuts samples in two
_FIELDS = {
    "text", "model_id", "language_code", "voice_settings", "pronunciation_dictionary_locators", "seed", "previous_text",
    "next_text", "previous_request_ids", "next_request_ids", "use_pvc_as_ivc", "apply_text_normalization",
    "apply_language_text_normalization", "audio_effects",
}  # fmt: skip
_SETTINGS = {"stability", "use_speaker_boost", "similarity_boost", "style", "speed", "clone_strength"}
_OUTPUT = {
    "mp3_22050_32", "mp3_24000_48", "mp3_44100_32", "mp3_44100_64", "mp3_44100_96", "mp3_44100_128", "mp3_44100_192",
    "pcm_8000", "pcm_16000", "pcm_22050", "pcm_24000", "pcm_32000", "pcm_44100", "pcm_48000", "ulaw_8000", "alaw_8000",
    "opus_48000_32", "opus_48000_64", "opus_48000_96", "opus_48000_128", "opus_48000_192",
}  # fmt: skip
_USUAL = "mp3_44100_128"
_QUERY = {"output_format", "enable_logging", "optimize_streaming_latency"}
_LONGEST = {"eleven_multilingual_v2": 10_000, "eleven_v3": 5000, "eleven_flash_v2_5": 40_000}


class Refused(Exception):  # noqa: N818 - an answer, no failure of ours
    """What ElevenLabs answers with an error."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.answer = web.json_response({"detail": {"status": code, "message": message}}, status=status)


@dataclass
class ElevenLabsPeer:
    """The service: `credits` are characters that are left.

    `cut` is a number of bytes after which the connection of each answer breaks, `stuck` one after which nothing more
    comes; `said` are the questions that were answered, `open` are those that are being answered.
    """

    port: int = 0
    credits: int = 1_000_000
    cut: int | None = None
    stuck: int | None = None
    refusals: list[int] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    said: list[dict[str, Any]] = field(default_factory=list)
    open: int = 0
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self._answer])
        app.router.add_get("/v1/models", self._models)
        app.router.add_get("/v1/voices", self._voices)
        app.router.add_get("/v1/voices/{id}", self._voice)
        app.router.add_get("/v1/user/subscription", self._subscription)
        app.router.add_post("/v1/text-to-speech/{voice}/stream", self._speak)
        return app

    async def until_open(self, number: int) -> None:
        """Wait until so many answers are on their way."""
        async with asyncio.timeout(10), self.changed:
            await self.changed.wait_for(lambda: self.open == number)

    @web.middleware
    async def _answer(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.asked.append(f"{request.method} {request.path}")
        try:
            _check_key(request)
            return await handler(request)
        except Refused as refused:
            return refused.answer

    async def _models(self, _: web.Request) -> web.Response:
        speaking = [
            {"model_id": model, "name": model.title(), "can_do_text_to_speech": True, "token_cost_factor": 1.0,
             "maximum_text_length_per_request": longest, "languages": [{"language_id": "en", "name": "English"}]}
            for model, longest in _LONGEST.items()
        ]  # fmt: skip
        changer = {"model_id": "eleven_english_sts_v2", "name": "Changer", "can_do_text_to_speech": False}
        return web.json_response([*speaking, changer])

    async def _voices(self, _: web.Request) -> web.Response:
        english = [{"language": "en", "model_id": "eleven_multilingual_v2", "accent": "american", "locale": "en-US"}]
        return web.json_response(
            {
                "voices": [
                    {"voice_id": RACHEL, "name": "Rachel", "verified_languages": english, "category": "premade"},
                    {"voice_id": GEORGE, "name": "George - Warm Storyteller", "labels": {"language": "en"}},
                ]
            }
        )

    async def _voice(self, request: web.Request) -> web.Response:
        if (voice := request.match_info["id"]) not in (RACHEL, GEORGE, FROM_LIBRARY):
            raise Refused(404, "voice_not_found", f"A voice with voice_id {voice} was not found.")
        return web.json_response({"voice_id": voice, "name": "Somebody"})

    async def _subscription(self, _: web.Request) -> web.Response:
        return web.json_response(
            {"tier": "free", "character_count": 17, "character_limit": 10_000, "next_character_count_reset_unix": 1}
        )

    async def _speak(self, request: web.Request) -> web.StreamResponse:
        body = self._checked(request, await request.json())
        if self.refusals and (status := self.refusals.pop(0)):
            raise Refused(status, "system_busy", "We are sorry, the system is experiencing heavy traffic")
        self.credits -= len(body["text"])
        output = request.query.get("output_format", _USUAL)
        self.said.append(body | {"voice": request.match_info["voice"], "output_format": output})
        await self._note(1)
        try:
            return await self._stream(request, sound(len(body["text"]), output), output)
        finally:
            await self._note(-1)

    def _checked(self, request: web.Request, body: dict[str, Any]) -> dict[str, Any]:
        """The body; Refused for what ElevenLabs would refuse."""
        settings = body.get("voice_settings") or {}
        model = body.get("model_id", "eleven_multilingual_v2")
        if set(body) - _FIELDS or set(settings) - _SETTINGS or set(request.query) - _QUERY:
            raise Refused(422, "invalid_fields", "Extra inputs are not permitted")
        if not isinstance(body.get("text"), str) or request.query.get("output_format", _USUAL) not in _OUTPUT:
            raise Refused(422, "invalid_fields", "Input should be a valid value")
        if not body["text"].strip():
            raise Refused(400, "input_text_empty", "Input text is empty")
        if request.match_info["voice"] not in (RACHEL, GEORGE, FROM_LIBRARY):
            raise Refused(404, "voice_not_found", "A voice was not found.")
        if model not in _LONGEST:
            raise Refused(400, "model_not_found", f"A model with model ID {model} does not exist")
        if len(body["text"]) > _LONGEST[model]:
            raise Refused(400, "max_character_limit_exceeded", "The text is too long for the model")
        if not 0.7 <= settings.get("speed", 1.0) <= 1.2:
            raise Refused(400, "invalid_voice_settings", "Invalid setting for speed received, expected 0.7 to 1.2")
        if model == "eleven_v3" and body.get("previous_text"):
            raise Refused(400, "unsupported_model", "Providing previous_text is not supported with this model")
        if len(body["text"]) > self.credits:
            raise Refused(401, "quota_exceeded", f"This request exceeds your quota. You have {self.credits} left")
        return body

    async def _stream(self, request: web.Request, data: bytes, output: str) -> web.StreamResponse:
        types = {"mp3": "audio/mpeg", "opus": "audio/ogg", "pcm": "audio/pcm"}
        answer = web.StreamResponse(headers={"Content-Type": types.get(output.partition("_")[0], "audio/basic")})
        answer.enable_chunked_encoding()
        await answer.prepare(request)
        for start in range(0, len(data), _PIECE):
            if self.stuck is not None and start >= self.stuck:
                await asyncio.Event().wait()  # until the client leaves
            if self.cut is not None and start >= self.cut:
                assert request.transport
                request.transport.abort()
                return answer
            await answer.write(data[start : start + _PIECE])
        return answer

    async def _note(self, change: int) -> None:
        async with self.changed:
            self.open += change
            self.changed.notify_all()


def _check_key(request: web.Request) -> None:
    key = request.headers.get("xi-api-key")
    if not key:
        raise Refused(401, "needs_authorization", "Neither authorization header nor xi-api-key received")
    if key not in (KEY, SPEECH_ONLY_KEY):
        raise Refused(401, "invalid_api_key", "Invalid API key")
    if key == SPEECH_ONLY_KEY and request.method == "GET":
        raise Refused(401, "missing_permissions", "The API key you used is missing the permission voices_read")


def samples(letters: int, rate: int) -> bytes:
    """A tone, the longer the more letters there are."""
    count = rate * letters * MILLISECONDS_A_LETTER // 1000
    wave = [round(8000 * math.sin(2 * math.pi * 440 * at / rate)) for at in range(rate // 10)]
    tone = array("h", wave * (count // len(wave) + 1))[:count]
    return struct.pack(f"<{len(tone)}h", *tone)


def sound(letters: int, output: str) -> bytes:
    """The tone in a format of the wire."""
    kind, rate, *_ = output.split("_")
    tone = samples(letters, int(rate))
    if kind == "pcm":
        return tone
    with FORMATS[kind].encoder(int(rate)) as encoder:
        return encoder.encode(tone) + b"".join(encoder.finish())


@asynccontextmanager
async def elevenlabs_peer() -> AsyncIterator[ElevenLabsPeer]:
    """The peer on a free port of loopback."""
    peer = ElevenLabsPeer()
    runner = web.AppRunner(peer.app(), shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    peer.port = runner.addresses[0][1]
    try:
        yield peer
    finally:
        await runner.cleanup()
