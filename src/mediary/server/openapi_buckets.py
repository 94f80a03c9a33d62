"""The OpenAPI description of what of the buckets stands beside the router."""

from typing import Any

from mediary.server.openapi import ERROR, file_path, in_path, thumbnail_path

_BUCKET = in_path("bucket")
_TEXTS = {"type": "array", "items": {"type": "string"}}
_READING: list[dict[str, Any]] = [
    _BUCKET,
    {
        "name": "delete_files",
        "in": "query",
        "schema": {"type": "boolean", "default": True},
        "description": "Delete what was uploaded, once its text is safe",
    },
    {
        "name": "refine_chunks_with_spacy",
        "in": "query",
        "schema": {"type": "boolean", "default": False},
        "description": "Keep only the sentences that carry the text",
    },
]
_TAKEN = {
    "type": "object",
    "required": ["bucket_id", "files", "media", "rejected"],
    "properties": {
        "bucket_id": {"type": "string"},
        "files": _TEXTS | {"description": "The documents, as they are named in the manifest"},
        "media": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["name"],
                "properties": {
                    "name": {"type": "string"},
                    "width": {"type": "integer"},
                    "height": {"type": "integer"},
                    "text": {"type": "string", "description": "What is written or said in it"},
                },
            },
        },
        "rejected": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["name", "reason"],
                "properties": {"name": {"type": "string"}, "reason": {"type": "string"}},
            },
        },
        "downloads": {
            "type": "integer",
            "description": "The URLs in downloads.json, if it was sent",
        },
    },
}
_UPLOAD = {
    "tags": ["buckets"],
    "summary": "Upload files into a bucket",
    "description": "Media, documents and archives, in any number; downloads.json names what else is to be fetched. "
    "Their texts are made in the background.",
    "parameters": [
        _BUCKET,
        {
            "name": "x-recognition-language",
            "in": "header",
            "schema": {"type": "string"},
            "example": "de",
            "description": "The language of scans and sounds",
        },
    ],
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["files"],
                    "properties": {"files": {"type": "array", "items": {"type": "string", "format": "binary"}}},
                }
            }
        },
    },
    "responses": {
        "200": {"description": "What became of them", "content": {"application/json": {"schema": _TAKEN}}},
        **{str(status): ERROR for status in (400, 401, 403, 413, 422, 503, 507)},
    },
}
_EVENTS = {"text/event-stream": {"schema": {"type": "string"}}}
_FAILURES = {str(status): ERROR for status in (400, 401, 404, 503, 507)}


def _text(method: str) -> dict[str, Any]:
    """GET or HEAD of a bucket's text."""
    return {
        "tags": ["buckets"],
        "summary": "The text of a bucket, as it becomes ready" if method == "get" else "Whether there is such a bucket",
        "description": "For who accepts `text/event-stream`, events as `/stream` gives them.",
        "parameters": [
            *_READING,
            {"name": "Accept", "in": "header", "schema": {"type": "string"}, "example": "text/plain"},
        ],
        "responses": {
            "200": {"description": "The text", "content": {"text/plain": {"schema": {"type": "string"}}, **_EVENTS}},
            **_FAILURES,
        },
    }


def _stream(method: str) -> dict[str, Any]:
    """GET or HEAD of the events of a reading."""
    return {
        "tags": ["buckets"],
        "summary": "Read a bucket, and tell how it goes" if method == "get" else "Whether there is such a bucket",
        "parameters": _READING,
        "responses": {"200": {"description": "Events", "content": _EVENTS}, **_FAILURES},
    }


BUCKET_PATHS: dict[str, Any] = {
    "/backend-api/v2/files/{bucket}": {"post": _UPLOAD, "get": _text("get"), "head": _text("head")},
    "/backend-api/v2/files/{bucket}/stream": {"get": _stream("get"), "head": _stream("head")},
    "/files/{bucket}/media/{name}": {method: file_path(method, _BUCKET, tag="buckets") for method in ("get", "head")},
    "/files/{bucket}/thumbnail/{name}": {
        method: thumbnail_path(method, _BUCKET, tag="buckets") for method in ("get", "head")
    },
}
