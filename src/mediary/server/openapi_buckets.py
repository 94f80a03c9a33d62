"""The OpenAPI description of what of the buckets stands beside the router."""

from typing import Any

from mediary.server.openapi import (
    FILES,
    TEXT,
    events,
    file_path,
    in_header,
    in_path,
    in_query,
    refusals,
    thumbnail_path,
)

_BUCKET = in_path("bucket", "Any name without slashes")
_TEXTS = {"type": "array", "items": TEXT}
_YES_OR_NO = {"type": "boolean"}
_READING = [
    _BUCKET,
    in_query("delete_files", _YES_OR_NO | {"default": True}, "Delete what was uploaded, once its text is safe"),
    in_query(
        "refine_chunks_with_spacy", _YES_OR_NO | {"default": False}, "Keep only the sentences that carry the text"
    ),
]
_TAKEN = {
    "type": "object",
    "required": ["bucket_id", "files", "media", "rejected"],
    "properties": {
        "bucket_id": TEXT,
        "files": _TEXTS | {"description": "The documents, as they are named in the manifest"},
        "media": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["name"],
                "properties": {
                    "name": TEXT,
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
                "properties": {"name": TEXT, "reason": TEXT},
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
        in_header("x-recognition-language", "The language of scans and sounds, as a tag", "de"),
    ],
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["files"],
                    "properties": {"files": FILES},
                }
            }
        },
    },
    "responses": {
        "200": {"description": "What became of them", "content": {"application/json": {"schema": _TAKEN}}},
        **refusals(400, 413, 422, 503, 507),
    },
}
_COUNT = {"type": "integer", "minimum": 0}
_DONE: dict[str, dict[str, Any]] = {
    "download": {"count": _COUNT},
    "load": {"size": _COUNT},
    "refine": {"size": _COUNT},
    "media": {"filename": TEXT},
    "failed": {"filename": TEXT, "message": TEXT},
    "delete_files": {},
    "done": {"size": _COUNT},
}
"""What happens while a bucket is read, and what is told of each."""
_FAILED = {"type": "object", "required": ["message"], "properties": {"message": TEXT}}
_EVENTS = events(
    {
        "oneOf": [
            *(
                {"type": "object", "required": ["action", *more], "properties": {"action": {"const": action}} | more}
                for action, more in _DONE.items()
            ),
            {"type": "object", "required": ["error"], "properties": {"error": _FAILED}},
        ]
    }
)
_FAILURES = refusals(400, 404, 501, 503, 507)


def _text(method: str) -> dict[str, Any]:
    """GET or HEAD of a bucket's text."""
    return {
        "tags": ["buckets"],
        "summary": "The text of a bucket, as it becomes ready" if method == "get" else "Whether there is such a bucket",
        "description": "For who accepts `text/event-stream`, events as `/stream` gives them.",
        "parameters": [
            *_READING,
            in_header("Accept", "Text, or `text/event-stream`", "text/plain"),
        ],
        "responses": {
            "200": {"description": "The text", "content": {"text/plain": {"schema": TEXT}, **_EVENTS}},
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
