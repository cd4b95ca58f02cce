"""What the server's own description says of bodies and parameters."""

from typing import Any

from affinage.serving.replies import ADDRESS, MOST, TOP

_FILE = {"type": "string", "format": "binary"}
PREDICT: dict[str, Any] = {
    "parameters": [
        {
            "name": "url",
            "in": "query",
            "description": "Address of an image, in place of a body",
            "schema": {"type": "string", "maxLength": ADDRESS},
        },
        {
            "name": "top",
            "in": "query",
            "description": "Most probable labels to list; 0 for all",
            "schema": {"type": "integer", "minimum": 0, "maximum": MOST, "default": TOP},
        },
    ],
    "requestBody": {
        "description": "The image as the body, or one or several as files of a form.",
        "content": {
            "image/*": {"schema": _FILE},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {"file": {"type": "array", "items": _FILE}},
                }
            },
        },
    },
    "responses": {
        "400": {"description": "No image, a form that cannot be read, or a parameter out of range"},
        "403": {"description": "Addresses are not fetched here"},
        "408": {"description": "The body took too long"},
        "413": {"description": "Too large, or too many images"},
        "415": {"description": "Neither an image nor a form"},
        "422": {"description": "The one image cannot be read; `predictions[0].reason` says why"},
        "503": {"description": "Busy; Retry-After says when to ask again"},
    },
}
CORRECT: dict[str, Any] = {
    "requestBody": {
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["image", "label"],
                    "properties": {
                        "image": {"type": "string"},
                        "label": {"type": "string"},
                        "name": {"type": "string"},
                        "said": {"type": "string"},
                    },
                }
            }
        }
    }
}
