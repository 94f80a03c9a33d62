"""The OpenAPI description of conversations and of their runs' events, made from the types that are read and sent."""

from typing import Any, Union

import msgspec

from mediary.conversations.request import OPTIONS, ConversationRequest
from mediary.events import Event
from mediary.server.openapi import FILES, TEXT, events, in_header, in_path, in_query, refusals

_PREFIX = "#/components/schemas/"
_REQUEST = "ConversationRequest"
_EVENT = "Event"
_RUN_ID = {
    "X-Run-Id": {"required": True, "schema": TEXT, "description": "The turn's id, under which it is found again"}
}

_MEANINGS = {
    "model": "A model, or a group of them; the provider's usual one where it is not said",
    "provider": "Its name; where it is not said, or `AnyProvider`, the first that has the model",
    "messages": "The question, and what was said before it",
    "conversation": "What an earlier `conversation` event gave, to go on from there",
    "download_media": "false passes the provider's URLs through, unless they need its cookies or headers",
    "web_search": "true, or what to search for",
    "memory": "true for the memory of the user in `x-user`, or whose memory",
    "detach": "The turn goes on when the client leaves; its events can be had from `…/runs/{run}/events`",
    "api_key": "The key for this request, or keys by the names of providers",
    "base_url": "Where to ask; for the provider `Custom` only",
    "api_base": "The same as `base_url`",
    "action": "`continue` has the last answer go on where it stopped",
    "timeout": "Seconds for the whole turn; the server has a limit of its own",
    "stream_timeout": "Seconds between two pieces of the answer; the server has a limit of its own",
    **dict.fromkeys(OPTIONS, "Goes to the provider"),
}
_PARTS = (
    'Text, or a list of parts: `{"type": "text", "text"}`, `{"type": "image_url", "image_url": {"url"}}` (http(s), a '
    'data URI, `/media/…` or `/files/<bucket>/media/…`), `{"type": "input_audio", "input_audio": {"data", "format"}}`, '
    '`{"bucket_id", "name"}` for a file of a bucket, `{"bucket_id"}` for the text of one, `{"text"}`'
)


def conversation_schemas() -> dict[str, Any]:
    """The question and the events, by name."""
    kinds = Event.__subclasses__()
    roots, schemas = msgspec.json.schema_components(
        [ConversationRequest, Union[tuple(kinds)]],  # noqa: UP007 - of as many as there are
        ref_template=_PREFIX + "{name}",
    )
    request = schemas[_REQUEST]
    for name, schema in request["properties"].items():
        schema["description"] = _MEANINGS[name]
    request["properties"]["messages"] = {
        "type": "array",
        "minItems": 1,
        "items": {"$ref": f"{_PREFIX}IncomingMessage"},
        "description": _MEANINGS["messages"],
    }
    request |= {
        "description": "Any other field, and any field that is null, is ignored.",
        "required": ["messages"],
        "example": {"provider": "Local", "messages": [{"role": "user", "content": "Hello"}]},
    }
    schemas["IncomingMessage"]["properties"]["content"]["description"] = _PARTS
    return schemas | {_EVENT: roots[1]}


_CONVERSATION = {
    "tags": ["conversation"],
    "summary": "Ask, and get the answer as server-sent events",
    "description": "While nothing happens for 15 seconds, a comment line keeps the connection. The last event is "
    "`finish`, `auth` or `error`. With `detach` each event has an `id`.",
    "parameters": [in_header("x-user", "A label for the user; no identity")],
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"$ref": _PREFIX + _REQUEST}},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["json"],
                    "properties": {
                        "json": {
                            "type": "string",
                            "contentMediaType": "application/json",
                            "contentSchema": {"$ref": _PREFIX + _REQUEST},
                            "description": "The question as JSON",
                        },
                        "files": FILES,
                        "media_url": {
                            "type": "array",
                            "items": TEXT,
                            "description": "Further attachments: http(s), data URIs, `/media/…`",
                        },
                    },
                }
            },
        },
    },
    "responses": {
        "200": {
            "description": "Events",
            "headers": _RUN_ID,
            "content": events({"$ref": _PREFIX + _EVENT}, "event"),
        },
        **refusals(400, 404, 409, 413, 415, 422, 429, 502, 503, 504, 507),
    },
}
_RUN_EVENTS = {
    "tags": ["conversation"],
    "summary": "The events of a run: what was missed, then what comes",
    "description": "Until the run ends. An event source says `Last-Event-ID` by itself when its connection broke.",
    "parameters": [
        in_path("run"),
        in_header("Last-Event-ID", "The number of the last event that the client has", "12"),
        in_query(
            "after", {"type": "integer", "minimum": 0, "maximum": 2**53, "default": 0}, "The same, without header"
        ),
    ],
    "responses": {
        "200": {
            "description": "Events, with their numbers",
            "headers": _RUN_ID,
            "content": events({"$ref": _PREFIX + _EVENT}, "event", "id"),
        },
        "204": {"description": "The run has ended, and the client has all of it", "headers": _RUN_ID},
        **refusals(400, 404, 503, 507),
    },
}

CONVERSATION_PATHS: dict[str, Any] = {
    "/backend-api/v2/conversation": {"post": _CONVERSATION},
    "/backend-api/v2/runs/{run}/events": {"get": _RUN_EVENTS},
}
