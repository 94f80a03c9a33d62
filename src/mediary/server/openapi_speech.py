"""The OpenAPI description of speech on request, which stands beside the router."""

from typing import Any

from mediary.server.openapi import ERROR, in_path
from mediary.server.routes.synthesize import TYPES

_PROVIDER = in_path("provider") | {"description": "Its name, or `AnyProvider` for the first that speaks"}
_TEXT = {"type": "string"}


def _asked(name: str, schema: dict[str, Any], meaning: str, *, required: bool = False) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": required, "schema": schema, "description": meaning}


_QUESTION = [
    _PROVIDER,
    _asked(
        "text", _TEXT | {"minLength": 1}, "What to say, of any length; marks of Markdown are not said", required=True
    ),
    _asked("voice", _TEXT, "A voice of `…/voices`, by id or name"),
    _asked("model", _TEXT, "A model that speaks"),
    _asked("format", {"type": "string", "enum": list(TYPES)}, "What kind of file; else as `Accept` says, else `mp3`"),
    _asked("speed", {"type": "number", "minimum": 0.25, "maximum": 4, "default": 1}, "A factor of the usual pace"),
    _asked("instructions", _TEXT, "How to say it, in words, for models that take that"),
    {"name": "Accept", "in": "header", "schema": _TEXT, "example": "audio/ogg"},
    {"name": "Range", "in": "header", "schema": _TEXT, "description": "Heeded once the speech is kept"},
]
_AUDIO = {media_type.decode(): {"schema": {"type": "string", "format": "binary"}} for media_type in TYPES.values()}
_VOICE = {
    "type": "object",
    "required": ["id", "label", "language"],
    "properties": {
        "id": {"type": "string"},
        "label": {"type": "string"},
        "language": {"type": "string", "nullable": True, "description": "A BCP 47 tag"},
    },
}


def _synthesize(method: str) -> dict[str, Any]:
    return {
        "tags": ["speech"],
        "summary": "Text as speech, streamed while it is made" if method == "get" else "What kind of file it would be",
        "parameters": _QUESTION,
        "responses": {
            "200": {"description": "The sound", "content": _AUDIO},
            "206": {"description": "The ranges asked for"},
            "304": {"description": "Unchanged"},
            **{str(status): ERROR for status in (400, 401, 403, 404, 412, 413, 416, 422, 429, 502, 503, 504, 507)},
        },
    }


def _voices(method: str) -> dict[str, Any]:
    listed = {"application/json": {"schema": {"type": "array", "items": _VOICE}}}
    return {
        "tags": ["speech"],
        "summary": "The voices of a provider" if method == "get" else "Whether it has voices",
        "parameters": [_PROVIDER],
        "responses": {
            "200": {"description": "Voices; none where the service does not tell", "content": listed},
            **{str(status): ERROR for status in (400, 401, 403, 404, 429, 502, 503, 504)},
        },
    }


SPEECH_PATHS: dict[str, Any] = {
    "/backend-api/v2/synthesize/{provider}": {"get": _synthesize("get"), "head": _synthesize("head")},
    "/backend-api/v2/synthesize/{provider}/voices": {"get": _voices("get"), "head": _voices("head")},
}
