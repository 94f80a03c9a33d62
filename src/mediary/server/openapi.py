"""The OpenAPI description of the hot paths, which stand beside the router and so are not seen by it."""

from typing import Any

from fastapi import FastAPI

from mediary.conversations.request import OPTIONS

ERROR: dict[str, Any] = {
    "description": "What is wrong, and what to do",
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "properties": {
                    "error": {
                        "type": "object",
                        "properties": {"code": {"type": "string"}, "message": {"type": "string"}},
                        "required": ["code", "message"],
                    }
                },
                "required": ["error"],
            }
        }
    },
}

_TEXT = {"type": "string", "nullable": True}
_QUESTION = {
    "type": "object",
    "required": ["messages"],
    "properties": {
        "model": _TEXT,
        "provider": _TEXT,
        "messages": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "properties": {
                    "role": {"type": "string", "example": "user"},
                    "content": {"description": "Text, or a list of parts", "example": "Hello"},
                },
            },
        },
        "download_media": {"type": "boolean", "default": True},
        "timeout": {"type": "number", "description": "Seconds for the whole turn"},
        "stream_timeout": {"type": "number", "description": "Seconds between two pieces of the answer"},
        **{name: {"description": "Goes to the provider"} for name in OPTIONS},
    },
    "example": {"provider": "Local", "messages": [{"role": "user", "content": "Hello"}]},
}

_CONVERSATION = {
    "tags": ["conversation"],
    "summary": "Ask, and get the answer as server-sent events",
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": _QUESTION},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["json"],
                    "properties": {
                        "json": {"type": "string", "description": "The request as JSON"},
                        "files": {"type": "array", "items": {"type": "string", "format": "binary"}},
                        "media_url": {"type": "array", "items": {"type": "string"}},
                    },
                }
            },
        },
    },
    "responses": {
        "200": {"description": "Events", "content": {"text/event-stream": {"schema": {"type": "string"}}}},
        **{str(status): ERROR for status in (400, 401, 403, 404, 413, 415, 422, 502, 503, 504)},
    },
}


def _file(method: str) -> dict[str, Any]:
    """GET or HEAD of a kept file."""
    return {
        "tags": ["media"],
        "summary": "A kept file" if method == "get" else "What a kept file is",
        "parameters": [
            {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}},
            {"name": "url", "in": "query", "schema": {"type": "string"}, "description": "Where to go if it is gone"},
            {"name": "download", "in": "query", "schema": {"type": "boolean"}, "description": "As an attachment"},
            {"name": "Range", "in": "header", "schema": {"type": "string"}},
        ],
        "responses": {
            "200": {"description": "The file"},
            "206": {"description": "The ranges asked for"},
            "302": {"description": "It is gone, and its source is known"},
            "304": {"description": "Unchanged"},
            **{str(status): ERROR for status in (401, 404, 412, 416)},
        },
    }


HOT_PATHS: dict[str, Any] = {
    "/backend-api/v2/conversation": {"post": _CONVERSATION},
    "/media/{name}": {"get": _file("get"), "head": _file("head")},
    "/images/{name}": {"get": _file("get"), "head": _file("head")},
    "/healthz": {
        "get": {"tags": ["health"], "summary": "The server lives", "responses": {"200": {"description": "It does"}}}
    },
}


def add_hot_paths(app: FastAPI) -> None:
    """Put the hot paths into the app's OpenAPI document."""
    routed = app.openapi

    def openapi() -> dict[str, Any]:
        document = routed()
        document["paths"].update(HOT_PATHS)
        return document

    app.openapi = openapi  # type: ignore[method-assign]
