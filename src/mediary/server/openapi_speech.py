"""The OpenAPI description of speech on request, which stands beside the router."""

from typing import Any

from mediary.server.openapi import CONDITIONS, ERROR, RANGES, TEXT, in_header, in_path, in_query, refusals
from mediary.server.routes.synthesize import TYPES

_PROVIDER = in_path("provider", "Its name, or `AnyProvider` for the first that speaks")
_QUESTION = [
    _PROVIDER,
    in_query(
        "text", TEXT | {"minLength": 1}, "What to say, of any length; marks of Markdown are not said", required=True
    ),
    in_query("voice", TEXT, "A voice of `…/voices`, by id or name"),
    in_query("model", TEXT, "A model that speaks"),
    in_query("format", {"type": "string", "enum": list(TYPES)}, "What kind of file; else as `Accept` says, else `mp3`"),
    in_query("speed", {"type": "number", "minimum": 0.25, "maximum": 4, "default": 1}, "A factor of the usual pace"),
    in_query("instructions", TEXT, "How to say it, in words, for models that take that"),
    in_header("Accept", "What the client can play", "audio/ogg"),
]
_ONCE_KEPT = [*CONDITIONS, *RANGES]
"""What is heeded once the speech is kept."""
_AUDIO = {media_type.decode(): {"schema": {"type": "string", "format": "binary"}} for media_type in TYPES.values()}
_VOICE = {
    "type": "object",
    "required": ["id", "label", "language"],
    "properties": {
        "id": TEXT,
        "label": TEXT,
        "language": {"type": ["string", "null"], "description": "A BCP 47 tag"},
    },
}


def _synthesize(method: str) -> dict[str, Any]:
    return {
        "tags": ["speech"],
        "summary": "Text as speech, streamed while it is made" if method == "get" else "What kind of file it would be",
        "parameters": [*_QUESTION, *(_ONCE_KEPT if method == "get" else CONDITIONS)],
        "responses": {
            "200": {"description": "The sound", "content": _AUDIO},
            **({"206": {"description": "The ranges asked for"}, "416": ERROR} if method == "get" else {}),
            "304": {"description": "Unchanged"},
            **refusals(400, 404, 412, 413, 422, 429, 502, 503, 504, 507),
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
            **refusals(400, 404, 429, 502, 503, 504),
        },
    }


SPEECH_PATHS: dict[str, Any] = {
    "/backend-api/v2/synthesize/{provider}": {"get": _synthesize("get"), "head": _synthesize("head")},
    "/backend-api/v2/synthesize/{provider}/voices": {"get": _voices("get"), "head": _voices("head")},
}
