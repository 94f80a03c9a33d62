"""The OpenAPI description of the upload to a provider, which stands beside the router."""

from typing import Any

from mediary.server.openapi import FILES, TEXT, refusals

_FIELDS: dict[str, Any] = {
    "provider": TEXT | {"minLength": 1, "description": "A provider that takes uploads, or a table of `uploads`"},
    "model": TEXT | {"description": "The model that they are for, where that matters"},
    "text": TEXT | {"description": "The text of the message"},
    "api_key": TEXT | {"description": "Stands in for the one of the settings"},
}
_REFERENCE = {
    "oneOf": [
        TEXT | {"description": "`/media/…`, `/files/<bucket>/media/…`, a data URI or an http(s) URL"},
        {
            "type": "object",
            "required": ["bucket_id", "name"],
            "properties": {"bucket_id": TEXT, "name": TEXT},
        },
    ]
}
_UPLOADED = {
    "type": "object",
    "required": ["id", "provider", "flow", "name", "type", "size", "file", "cached", "expires_at"],
    "properties": {
        "id": TEXT,
        "provider": TEXT,
        "flow": TEXT,
        "name": TEXT,
        "type": TEXT | {"description": "What its bytes say"},
        "size": {"type": "integer"},
        "file": {"type": "object", "description": "The provider's own entry"},
        "cached": {"type": "boolean", "description": "Nothing had to be sent"},
        "expires_at": {"type": ["number", "null"], "description": "Unix seconds"},
    },
}

UPLOAD_PATHS: dict[str, Any] = {
    "/backend-api/v2/uploads": {
        "post": {
            "tags": ["uploads"],
            "summary": "Carry files to a provider by its own protocol, each once",
            "requestBody": {
                "required": True,
                "content": {
                    "multipart/form-data": {
                        "schema": {
                            "type": "object",
                            "required": ["provider", "files"],
                            "properties": {
                                **_FIELDS,
                                "cookies": TEXT | {"description": "A JSON object of names and values"},
                                "files": FILES,
                            },
                        }
                    },
                    "application/json": {
                        "schema": {
                            "type": "object",
                            "required": ["provider", "files"],
                            "properties": {
                                **_FIELDS,
                                "cookies": {"type": "object", "additionalProperties": TEXT},
                                "files": {"type": "array", "minItems": 1, "items": _REFERENCE},
                            },
                        }
                    },
                },
            },
            "responses": {
                "200": {
                    "description": "They lie there",
                    "content": {
                        "application/json": {
                            "schema": {
                                "type": "object",
                                "required": ["uploads", "message"],
                                "properties": {
                                    "uploads": {"type": "array", "items": _UPLOADED},
                                    "message": {"type": "object", "description": "The provider's form of a message"},
                                },
                            }
                        }
                    },
                },
                **refusals(400, 404, 409, 413, 415, 422, 429, 502, 503, 504, 507),
            },
        }
    }
}
