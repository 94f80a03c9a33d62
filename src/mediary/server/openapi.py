"""The OpenAPI description of the hot paths, which stand beside the router and so are not seen by it."""

from itertools import chain
from typing import Any

from fastapi import FastAPI

from mediary.conversations.request import OPTIONS
from mediary.media.thumbnails import LADDER

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
        **{str(status): ERROR for status in (400, 401, 403, 404, 413, 415, 422, 502, 503, 504, 507)},
    },
}


def in_path(name: str) -> dict[str, Any]:
    """A part of the path."""
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def file_path(method: str, *more: dict[str, Any], tag: str = "media") -> dict[str, Any]:
    """GET or HEAD of a kept file; `more` stands in its path before its name."""
    return {
        "tags": [tag],
        "summary": "A kept file" if method == "get" else "What a kept file is",
        "parameters": [
            *more,
            in_path("name"),
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


def thumbnail_path(method: str, *more: dict[str, Any], tag: str = "media") -> dict[str, Any]:
    """GET or HEAD of a thumbnail; `more` stands in its path before its name."""
    width = {"type": "integer", "enum": list(LADDER)}
    return {
        "tags": [tag],
        "summary": "A small picture of a kept file" if method == "get" else "What that small picture is",
        "description": "Of a video a frame, of a sound its cover or its waveform. At most 400 by 400, or of the width "
        "asked for; never enlarged. Made when it is first asked for.",
        "parameters": [
            *more,
            in_path("name"),
            {"name": "w", "in": "query", "schema": width, "description": "Pixels it is wide, at most"},
            {"name": "url", "in": "query", "schema": {"type": "string"}, "description": "Where to go if it is gone"},
            {"name": "Accept", "in": "header", "schema": {"type": "string"}, "example": "image/webp"},
        ],
        "responses": {
            "200": {
                "description": "WebP for those who accept it, else JPEG",
                "content": {"image/webp": {}, "image/jpeg": {}},
            },
            "302": {"description": "The file is gone, and its source is known"},
            "304": {"description": "Unchanged"},
            **{str(status): ERROR for status in (400, 401, 404, 412, 415, 503)},
        },
    }


def _search(method: str) -> dict[str, Any]:
    """GET or HEAD of a search."""
    whole = {"type": "integer"}
    asked = {
        "min": (whole | {"minimum": 1}, "How many tokens an item must match; all, if it is not said"),
        "skip": (whole | {"minimum": 0, "default": 0}, "How many of the found to step over"),
        "random": ({"type": "string"}, "`true` picks by chance; any other text is a seed, which picks the same always"),
        "limit": (whole | {"minimum": 1, "maximum": 500, "default": 50}, "How many items a JSON answer holds"),
    }
    found = {
        "type": "object",
        "required": ["items", "total"],
        "properties": {
            "items": {"type": "array", "items": {"$ref": "#/components/schemas/Item"}},
            "total": {"type": "integer", "description": "How many there are in all"},
        },
    }
    return {
        "tags": ["library"],
        "summary": "The newest item that matches" if method == "get" else "Whether an item matches",
        "description": "Tokens are joined by `+`; each matches anywhere in name, prompt, model and tags. The first may "
        "name a kind (`image`, `audio`, `video`) or a MIME type.",
        "parameters": [
            {
                "name": "tokens",
                "in": "path",
                "required": True,
                "schema": {"type": "string"},
                "example": "image+sea",
            },
            *(
                {"name": name, "in": "query", "schema": schema, "description": meaning}
                for name, (schema, meaning) in asked.items()
            ),
            {"name": "Accept", "in": "header", "schema": {"type": "string"}, "example": "application/json"},
        ],
        "responses": {
            "200": {"description": "For who accepts JSON", "content": {"application/json": {"schema": found}}},
            "302": {"description": "To `/media/{name}`"},
            **{str(status): ERROR for status in (400, 401, 404)},
        },
    }


HOT_PATHS: dict[str, Any] = {
    "/backend-api/v2/conversation": {"post": _CONVERSATION},
    "/media/{name}": {"get": file_path("get"), "head": file_path("head")},
    "/images/{name}": {"get": file_path("get"), "head": file_path("head")},
    "/thumbnail/{name}": {"get": thumbnail_path("get"), "head": thumbnail_path("head")},
    "/search/{tokens}": {"get": _search("get"), "head": _search("head")},
    "/healthz": {
        "get": {"tags": ["health"], "summary": "The server lives", "responses": {"200": {"description": "It does"}}}
    },
}


def add_hot_paths(app: FastAPI, *more: dict[str, Any]) -> None:
    """Put the hot paths, and more of their kind, into the app's OpenAPI document."""
    routed = app.openapi

    def openapi() -> dict[str, Any]:
        document = routed()
        for path, methods in chain.from_iterable(paths.items() for paths in (HOT_PATHS, *more)):
            document["paths"].setdefault(path, {}).update(methods)
        return document

    app.openapi = openapi  # type: ignore[method-assign]
