"""The OpenAPI description of the hot paths, which stand beside the router and so are not seen by it."""

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI

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
TEXT: dict[str, Any] = {"type": "string"}
FILES: dict[str, Any] = {"type": "array", "minItems": 1, "items": {"type": "string", "format": "binary"}}

_OPEN = ("/healthz", "/readyz")
"""What answers without a key."""
_SCHEMES = {
    "key": {"type": "http", "scheme": "bearer", "description": "The server's key"},
    "password": {"type": "http", "scheme": "basic", "description": "Any name, and the server's key as the password"},
}


def refusals(*statuses: int) -> dict[str, Any]:
    """The answers that are errors: those of the door, and these."""
    return {str(status): ERROR for status in sorted({401, 403, *statuses})}


def in_path(name: str, meaning: str = "") -> dict[str, Any]:
    """A part of the path."""
    described = {"description": meaning} if meaning else {}
    return {"name": name, "in": "path", "required": True, "schema": TEXT} | described


def in_query(name: str, schema: dict[str, Any], meaning: str, *, required: bool = False) -> dict[str, Any]:
    """A parameter of the query."""
    return {"name": name, "in": "query", "required": required, "schema": schema, "description": meaning}


def in_header(name: str, meaning: str, example: str | None = None) -> dict[str, Any]:
    """A header of the request."""
    shown = {} if example is None else {"example": example}
    return {"name": name, "in": "header", "schema": TEXT, "description": meaning} | shown


def events(schema: dict[str, Any], *fields: str) -> dict[str, Any]:
    """The content of a stream of events; `fields` are the lines that one has besides its `data:`, which is JSON."""
    data = TEXT | {"contentMediaType": "application/json", "contentSchema": schema}
    item = {"type": "object", "required": ["data"], "properties": {"data": data} | dict.fromkeys(fields, TEXT)}
    return {"text/event-stream": {"itemSchema": item}}


URL = in_query("url", TEXT, "Where to go if it is gone: an http(s) URL")
THERE = {"Location": {"required": True, "schema": TEXT}}
CONDITIONS = [
    in_header("If-None-Match", "ETags that the client has", '"0123abcd"'),
    in_header("If-Modified-Since", "The `Last-Modified` that it has"),
    in_header("If-Match", "The ETags that are meant: else 412"),
    in_header("If-Unmodified-Since", "The `Last-Modified` that is meant: else 412"),
]
RANGES = [
    in_header("Range", "One or several ranges of bytes", "bytes=0-1023"),
    in_header("If-Range", "The ETag or `Last-Modified` that the range belongs to: else the whole file"),
]


def file_path(method: str, *more: dict[str, Any], tag: str = "media") -> dict[str, Any]:
    """GET or HEAD of a kept file; `more` stands in its path before its name."""
    whole = {"description": "The file", "headers": {"ETag": {"required": True, "schema": TEXT}}}
    in_part = {"206": {"description": "The ranges asked for"}, "416": ERROR} if method == "get" else {}
    return {
        "tags": [tag],
        "summary": "A kept file" if method == "get" else "What a kept file is",
        "parameters": [
            *more,
            in_path("name"),
            URL,
            in_query("download", {"type": "boolean"}, "As an attachment"),
            *CONDITIONS,
            *(RANGES if method == "get" else ()),
        ],
        "responses": {
            "200": whole,
            "302": {"description": "It lies elsewhere, or is gone and its source is known", "headers": THERE},
            "304": {"description": "Unchanged"},
            **in_part,
            **refusals(400, 404, 412, 503),
        },
    }


def thumbnail_path(method: str, *more: dict[str, Any], tag: str = "media") -> dict[str, Any]:
    """GET or HEAD of a thumbnail; `more` stands in its path before its name."""
    in_part = {"206": {"description": "The ranges asked for"}, "416": ERROR} if method == "get" else {}
    return {
        "tags": [tag],
        "summary": "A small picture of a kept file" if method == "get" else "What that small picture is",
        "description": "Of a video a frame, of a sound its cover or its waveform. At most 400 by 400, or of the width "
        "asked for; never enlarged. Made when it is first asked for. WebP for those who accept it, else JPEG; of what "
        "lies in a bucket and has no picture, the file itself.",
        "parameters": [
            *more,
            in_path("name"),
            in_query("w", {"type": "integer", "enum": list(LADDER)}, "Pixels it is wide, at most"),
            URL,
            in_header("Accept", "What the client can show", "image/webp"),
            *CONDITIONS,
            *(RANGES if method == "get" else ()),
        ],
        "responses": {
            "200": {"description": "The picture", "headers": {"ETag": {"required": True, "schema": TEXT}}},
            "302": {"description": "The file is gone, and its source is known", "headers": THERE},
            "304": {"description": "Unchanged"},
            **in_part,
            **refusals(400, 404, 412, 415, 503, 507),
        },
    }


def _search(method: str) -> dict[str, Any]:
    """GET or HEAD of a search."""
    whole = {"type": "integer"}
    asked = {
        "min": (whole | {"minimum": 1}, "How many tokens an item must match; all, if it is not said"),
        "skip": (whole | {"minimum": 0, "default": 0}, "How many of the found to step over"),
        "random": (TEXT, "`true` picks by chance; any other text is a seed, which picks the same always"),
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
            in_path("tokens") | {"example": "image+sea"},
            *(in_query(name, schema, meaning) for name, (schema, meaning) in asked.items()),
            in_header("Accept", "JSON is for who asks for it", "application/json"),
        ],
        "responses": {
            "200": {"description": "For who accepts JSON", "content": {"application/json": {"schema": found}}},
            "302": {"description": "To `/media/{name}`", "headers": THERE},
            **refusals(400, 404, 503),
        },
    }


_ALIVE = {"type": "object", "required": ["status"], "properties": {"status": TEXT}}

HOT_PATHS: dict[str, Any] = {
    "/media/{name}": {"get": file_path("get"), "head": file_path("head")},
    "/images/{name}": {"get": file_path("get"), "head": file_path("head")},
    "/thumbnail/{name}": {"get": thumbnail_path("get"), "head": thumbnail_path("head")},
    "/search/{tokens}": {"get": _search("get"), "head": _search("head")},
    "/healthz": {
        "get": {
            "tags": ["health"],
            "summary": "The server lives",
            "responses": {"200": {"description": "It does", "content": {"application/json": {"schema": _ALIVE}}}},
        }
    },
}


def complete_document(
    app: FastAPI, paths: dict[str, Any], schemas: Callable[[], dict[str, Any]], *, locked: bool
) -> None:
    """Put the `paths` that the router does not see, and their `schemas`, into the app's OpenAPI document.

    `locked` says that the server has a key.
    """
    app.openapi_version = "3.2.0"  # the first that can describe the events of a stream
    routed = app.openapi

    def openapi() -> dict[str, Any]:
        document = routed()
        for path, methods in paths.items():
            document["paths"].setdefault(path, {}).update(methods)
        document["components"]["schemas"].update(schemas())
        if locked:
            document["components"]["securitySchemes"] = _SCHEMES
            document["security"] = [{name: []} for name in _SCHEMES]
            for path in _OPEN:
                document["paths"][path]["get"]["security"] = []
        return document

    app.openapi = openapi  # type: ignore[method-assign]
