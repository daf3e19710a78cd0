"""JSON schemas of the documents between console and workers, for the OpenAPI page."""

from __future__ import annotations

import enum
import types
import typing
from typing import Annotated, Any

from msgspec import Struct, structs

from poolsite.wire.codec import VERSION_FIELD, WIRE_VERSION


def document_schema(kind: type) -> dict[str, Any]:
    """Return the schema of a versioned document."""
    schema = object_schema(kind)
    schema["properties"] = {
        VERSION_FIELD: {"type": "integer", "enum": [WIRE_VERSION]},
        **schema["properties"],
    }
    schema["required"] = [VERSION_FIELD, *schema.get("required", [])]
    return schema


def object_schema(kind: Any) -> dict[str, Any]:
    """Return the schema of one document."""
    fields = structs.fields(kind)
    needed = [item.name for item in fields if item.required]
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {item.name: value_schema(item.type) for item in fields},
        "additionalProperties": False,
    }
    if kind.__doc__:
        schema["description"] = kind.__doc__.strip()
    if needed:
        schema["required"] = needed
    return schema


def value_schema(hint: Any) -> dict[str, Any]:
    """Return the schema of one field."""
    origin = typing.get_origin(hint)
    arguments = typing.get_args(hint)
    if origin is Annotated:
        return value_schema(arguments[0])
    if origin in (types.UnionType, typing.Union):
        (inner,) = (arm for arm in arguments if arm is not type(None))
        return {**value_schema(inner), "nullable": True}
    if origin is tuple:
        return {"type": "array", "items": value_schema(arguments[0])}
    if origin is dict:
        return {"type": "object", "additionalProperties": value_schema(arguments[1])}
    if isinstance(hint, type) and issubclass(hint, Struct):
        return object_schema(hint)
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return {"type": "string", "enum": [member.value for member in hint]}
    plain: dict[Any, dict[str, Any]] = {
        bool: {"type": "boolean"},
        int: {"type": "integer", "format": "int64"},
        bytes: {"type": "string", "format": "byte"},
    }
    return dict(plain.get(hint, {"type": "string"}))
