"""The OpenAPI description of questions in a URL, which stand beside the router."""

from typing import Any

from mediary.conversations.creating.read_out import KINDS
from mediary.server.openapi import TEXT, in_header, in_query, refusals
from mediary.server.routes.create import CREATE, MOST

_SWITCH = {"type": "boolean", "default": False}
_NUMBER = {"type": "number"}
_WHOLE = {"type": "integer", "minimum": -MOST, "maximum": MOST}
_MEANINGS: dict[str, tuple[dict[str, Any], str]] = {
    "model": (TEXT, "A model; without it the provider's default"),
    "provider": (TEXT, "A provider's name; without it, or as `AnyProvider`, the first that has the model"),
    "web_search": (TEXT, "`true` searches the web for the prompt, any other text is the query"),
    "memory": (TEXT, "`true` brings in the memories of the user in `x-user`; a text names somebody"),
    "filter_markdown": (TEXT, "`true` for the first code block alone, or the language of the wanted one"),
    "json": (_SWITCH, "The first JSON value of the answer alone"),
    "cache": (TEXT, "An id: the same question with the same id, all else alike, gets the answer that is kept"),
    "stream": (_SWITCH, "The words as they come"),
    "audio": (TEXT, "`true` has the answer read out, any other text is the voice"),
    "audio_provider": (TEXT, "Who reads it out; without it the provider if it speaks, else the first that does"),
    "voice": (TEXT, "The voice, for models that speak and for reading out"),
    "format": ({"type": "string", "enum": list(KINDS)}, "The kind of sound file"),
    "speed": (_NUMBER, "Of speech, as a factor of the usual pace"),
    "seconds": (_NUMBER, "Of a video"),
    "download_media": (
        _SWITCH | {"default": True},
        "False leads to the provider's own URL instead of keeping the file",
    ),
    "width": (_WHOLE, "Of a picture"),
    "height": (_WHOLE, "Of a picture"),
    "size": (TEXT, "Of a picture, as `1024x768`"),
    "aspect_ratio": (TEXT, "Of a picture, as `16:9`"),
    "n": (_WHOLE, "How many pictures"),
    "steps": (_WHOLE, "Of making a picture"),
    "seed": (_WHOLE, "Goes to the provider"),
    "negative_prompt": (TEXT, "What a picture is to be without"),
    "temperature": (_NUMBER, "Goes to the provider"),
    "top_p": (_NUMBER, "Goes to the provider"),
    "max_tokens": (_WHOLE, "Goes to the provider"),
    "stop": (TEXT, "Goes to the provider"),
    "reasoning_effort": (TEXT, "Goes to the provider"),
    "timeout": (_NUMBER | {"minimum": 0}, "Seconds for all of it"),
    "stream_timeout": (_NUMBER | {"minimum": 0}, "Seconds between two pieces of the provider's answer"),
}
_MEDIA = {"schema": {"type": "string", "format": "binary"}}

CREATE_PATHS: dict[str, Any] = {
    CREATE: {
        "get": {
            "tags": ["conversation"],
            "summary": "Ask in a URL: the answer as text, or the picture, sound or video that was made",
            "parameters": [
                in_query("prompt", TEXT | {"minLength": 1}, "The question", required=True),
                *(in_query(name, schema, meaning) for name, (schema, meaning) in _MEANINGS.items()),
                in_header(
                    "Accept", "A client that takes no text gets the media of an answer with words, too", "image/*"
                ),
                in_header("x-user", "A label for what is recorded"),
                in_header("x-api-key", "The provider's key for this question"),
                in_header("x-api-base", "The URL for the provider `Custom`"),
            ],
            "responses": {
                "200": {
                    "description": "The words; one media item; or the URLs of several, a line each",
                    "content": {
                        "text/plain": {"schema": TEXT},
                        "image/*": _MEDIA,
                        "audio/*": _MEDIA,
                        "video/*": _MEDIA,
                    },
                },
                "302": {"description": "To the provider's own URL of what is not kept here"},
                **refusals(400, 404, 409, 413, 415, 422, 429, 502, 503, 504, 507),
            },
        }
    }
}
