"""What is known of Google's models, what they take, and what is sent after a refusal of one."""

from typing import Any

import pytest
from tests.providers.google import DONE, MODEL, Make, call
from tests.providers.turns import ask, hold
from tests.servers.gemini import KEY, gemini_peer
from tests.servers.scripted import Scripted, said

from mediary.errors import ProviderError
from mediary.providers.base import Message, Part, Text, TurnRequest, Video


def refusal(message: str) -> Any:
    return said({"error": {"code": 400, "message": message, "status": "INVALID_ARGUMENT"}}, 400)


class TestMending:
    async def test_thoughts_that_are_not_shown(self, make_gemini: Make, service: Scripted):
        provider = make_gemini(service.base_url)
        service.play(refusal("Thinking is not enabled for this model"), said(DONE))
        for _ in range(2):
            assert (await hold(provider, ask("Hi", model=MODEL))).text == "Yes."
        assert [asked.json.get("generationConfig") for asked in service.asked] == [
            {"thinkingConfig": {"includeThoughts": True}},
            {},
            {},
        ]

    async def test_an_effort_that_was_asked_for_is_not_dropped(self, make_gemini: Make, service: Scripted):
        service.play(refusal("Thinking level is not supported for this model."))
        turn = await hold(make_gemini(service.base_url), ask("Hi", model=MODEL, options={"reasoning_effort": "low"}))
        assert "not supported" in str(turn.error)
        assert len(service.asked) == 1

    async def test_instructions_that_are_not_taken(self, make_gemini: Make, service: Scripted):
        provider = make_gemini(service.base_url)
        messages = (Message("system", (Text("Short."),)), Message("user", (Text("Hi"),)))
        service.play(refusal("Developer instruction is not enabled for models/gemma-3-27b-it"), said(DONE))
        for _ in range(2):
            assert (await hold(provider, TurnRequest("gemma-3-27b-it", messages))).text == "Yes."
        moved = [{"role": "user", "parts": [{"text": "Short."}]}, {"role": "user", "parts": [{"text": "Hi"}]}]
        assert [asked.json["contents"] for asked in service.asked[1:]] == [moved, moved]
        assert all("systemInstruction" not in asked.json for asked in service.asked[1:])

    @pytest.mark.parametrize(
        ("words", "signatures"),
        [
            ("Function call is missing a thought_signature in functionCall parts.", ["skip", None, "b2xk"]),
            ("Corrupted thought signature.", ["skip", None, "skip"]),
        ],
    )
    async def test_calls_of_others(
        self, make_gemini: Make, service: Scripted, words: str, signatures: list[str | None]
    ):
        signed = call("h", "{}", extra_content={"google": {"thought_signature": "b2xk"}})
        messages = (
            Message("user", (Text("Hi"),)),
            Message("assistant", (), {"tool_calls": [call("f", "{}"), call("g", "{}")]}),
            Message("assistant", (), {"tool_calls": [signed]}),
            Message("tool", (Text("1"),), {"tool_call_id": "c-h"}),
        )
        service.play(refusal(words), said(DONE))
        assert (await hold(make_gemini(service.base_url), TurnRequest("gemini-3-pro", messages))).text == "Yes."
        parts = [part for content in service.asked[1].json["contents"][1:3] for part in content["parts"]]
        found = [part.get("thoughtSignature") for part in parts]
        assert [mark and mark.removesuffix("_thought_signature_validator") for mark in found] == signatures

    @pytest.mark.parametrize("words", ["missing a thought_signature", "Thinking is off", "system instruction", "No."])
    async def test_each_way_is_tried_once(self, make_gemini: Make, service: Scripted, words: str):
        messages = (
            Message("system", (Text("Short."),)),
            Message("user", (Text("Hi"),)),
            Message("assistant", (), {"tool_calls": [call("f", "{}")]}),
        )
        service.play(refusal(words))
        turn = await hold(make_gemini(service.base_url), TurnRequest(MODEL, messages))
        assert type(turn.error) is ProviderError
        assert len(service.asked) == (1 if words == "No." else 2)


class TestModels:
    LISTED = (
        {"name": "models/gemini-3.8-flash", "displayName": "Flash", "inputTokenLimit": 1048576, "thinking": True},
        {"name": "models/gemini-2.5-flash-image", "supportedGenerationMethods": ["generateContent", "countTokens"]},
        {"name": "models/gemini-2.5-flash-preview-tts", "supportedGenerationMethods": ["generateContent"]},
        {"name": "models/gemini-embedding-001", "supportedGenerationMethods": ["embedContent"]},
        {"name": "models/veo-3", "supportedGenerationMethods": ["predictLongRunning"]},
        {"name": "models/imagen-4.0", "supportedGenerationMethods": ["predict"]},
        {"name": "models/odd", "supportedGenerationMethods": ["bidiGenerateContent"]},
        {"name": "models/gemma-3-1b-it", "supportedGenerationMethods": ["generateContent"], "thinking": False},
        {},
    )

    async def test_pages(self, make_gemini: Make, service: Scripted):
        first, rest = list(self.LISTED[:2]), list(self.LISTED[2:])
        service.play(said({"models": first, "nextPageToken": "a&b"}), said({"models": rest}))
        models = await make_gemini(service.base_url, default_model="models/gemini-2.5-flash-image").models()
        assert [(model.id, model.kind) for model in models] == [
            ("gemini-2.5-flash-image", "image"),
            ("gemini-3.8-flash", "chat"),
            ("gemini-2.5-flash-preview-tts", "speech"),
            ("veo-3", "video"),
            ("gemma-3-1b-it", "chat"),
        ]
        flash = models[1]
        assert (flash.label, flash.context_tokens, flash.vision, flash.audio) == ("Flash", 1048576, True, True)
        assert not models[4].vision
        assert [asked.path for asked in service.asked] == [
            "/v1/models?pageSize=1000",
            "/v1/models?pageSize=1000&pageToken=a%26b",
        ]

    async def test_what_the_list_tells_of_thinking_counts(self, make_gemini: Make, service: Scripted):
        listed = {
            "models": [{"name": "models/gemini-2.5-flash", "thinking": False}, {"name": "models/x", "thinking": True}]
        }
        service.play(said(listed), said(DONE))
        provider = make_gemini(service.base_url)
        await provider.models()
        await hold(provider, ask("Hi", model="gemini-2.5-flash"))
        await hold(provider, ask("Hi", model="x"))
        assert [asked.json.get("generationConfig") for asked in service.asked[1:]] == [
            None,
            {"thinkingConfig": {"includeThoughts": True}},
        ]

    async def test_pages_without_an_end(self, make_gemini: Make, service: Scripted):
        service.play(said({"models": [{"name": "models/a"}], "nextPageToken": "more"}))
        assert [model.id for model in await make_gemini(service.base_url).models()] == ["a"]
        assert len(service.asked) == 10

    @pytest.mark.parametrize("body", [["no"], {"models": 7}])
    async def test_what_is_no_list(self, make_gemini: Make, service: Scripted, body: Any):
        service.play(said(body))
        with pytest.raises(ProviderError, match="list of models cannot be read"):
            await make_gemini(service.base_url).models()

    async def test_those_of_the_settings(self, make_gemini: Make, service: Scripted):
        fields = {"models": ("a",), "image_models": ("b",), "speech_models": ("c",), "vision_models": ("d",)}
        models = await make_gemini(service.base_url, context_tokens=4096, **fields).models()
        assert [(model.id, model.kind, model.vision) for model in models] == [
            ("a", "chat", False),
            ("b", "image", False),
            ("c", "speech", False),
            ("d", "chat", True),
        ]
        assert {model.context_tokens for model in models} == {4096}


class TestTakes:
    async def test_what_it_takes(self, make_gemini: Make):
        takes = make_gemini("https://g.test").takes(MODEL)
        for media_type in ("image/webp", "audio/wav", "video/mp4", "application/pdf", "text/markdown"):
            assert takes.has(media_type)
        for media_type in ("application/zip", "image/gif", "image/avif", "image/svg+xml"):
            assert not takes.has(media_type)
        assert takes.max_bytes == takes.together == 14 * 1024**2

    async def test_what_reads_out_takes_text(self, make_gemini: Make):
        assert make_gemini("https://g.test").takes("gemini-2.5-flash-preview-tts").types == ("text/*",)

    async def test_the_settings_go_first(self, make_gemini: Make):
        takes = make_gemini("https://g.test", takes=("image/png",), inline_bytes=0).takes(MODEL)
        assert (takes.types, takes.max_bytes) == (("image/png",), 0)

    async def test_a_request_of_that_size_is_taken(self, make_gemini: Make):
        part: Part = Video("video/mp4", bytes(14 * 1024**2))
        async with gemini_peer() as peer:
            turn = await hold(make_gemini(peer.base_url, api_key=KEY), ask("Look", part, model=MODEL))
        assert turn.text == f"Look; video/mp4 of {14 * 1024**2} bytes"
