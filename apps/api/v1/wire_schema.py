"""JSON schemas of the documents between console and workers, for the OpenAPI page."""

from __future__ import annotations

import enum
import types
import typing
from dataclasses import dataclass
from typing import Annotated, Any, Final

from drf_spectacular.extensions import OpenApiSerializerExtension
from msgspec import Struct, structs

from poolsite.wire.codec import VERSION_FIELD, WIRE_VERSION
from poolsite.wire.job_reports import Level
from poolsite.wire.jobs import JobKind

if typing.TYPE_CHECKING:
    from drf_spectacular.openapi import AutoSchema


FAILURE_LEVELS: Final = tuple(Level)
JOB_KINDS: Final = tuple(JobKind)


@dataclass(frozen=True, slots=True)
class WireDocument:
    """A class of documents, where an operation of the OpenAPI page takes or returns one."""

    kind: type
    is_part: bool = False
    """Whether it stands in another, which has the version."""


def document_schema(kind: type) -> WireDocument:
    """Return the schema of a versioned document."""
    return WireDocument(kind)


class WireDocumentScheme(OpenApiSerializerExtension):  # type: ignore[no-untyped-call]  # the library's hook
    """Every document is a schema of its own name, so that a generated client has one type of it."""

    target_class = WireDocument

    def get_name(self, auto_schema: AutoSchema, direction: str) -> str:  # noqa: ARG002  # the library's signature
        """Return the name of its class."""
        return str(self.target.kind.__name__)

    def get_identity(self, auto_schema: AutoSchema, direction: str) -> Any:  # noqa: ARG002  # as above
        """Return its class."""
        return self.target.kind

    def map_serializer(self, auto_schema: AutoSchema, direction: Any) -> dict[str, Any]:
        """Return its schema; documents in it are referred to."""
        kind = self.target.kind
        fields = structs.fields(kind)
        version = {VERSION_FIELD: {"type": "integer", "minimum": WIRE_VERSION, "maximum": WIRE_VERSION}}
        needed = [] if self.target.is_part else [VERSION_FIELD]
        needed += [item.name for item in fields if item.required]
        return {
            "type": "object",
            "description": (kind.__doc__ or "").strip(),
            "properties": ({} if self.target.is_part else version)
            | {item.name: value_schema(item.type, auto_schema, direction) for item in fields},
            "additionalProperties": False,
            **({"required": needed} if needed else {}),
        }


def value_schema(hint: Any, auto_schema: AutoSchema, direction: Any) -> dict[str, Any]:
    """Return the schema of one field."""
    origin = typing.get_origin(hint)
    arguments = typing.get_args(hint)
    if origin is Annotated:
        return value_schema(arguments[0], auto_schema, direction)
    if origin in (types.UnionType, typing.Union):
        (inner,) = (arm for arm in arguments if arm is not type(None))
        schema = value_schema(inner, auto_schema, direction)
        return {"allOf": [schema], "nullable": True} if "$ref" in schema else {**schema, "nullable": True}
    if origin is tuple:
        return {"type": "array", "items": value_schema(arguments[0], auto_schema, direction)}
    if origin is dict:
        values = value_schema(arguments[1], auto_schema, direction)
        return {"type": "object", "additionalProperties": values}
    if isinstance(hint, type) and issubclass(hint, Struct):
        part: Any = WireDocument(hint, is_part=True)
        return dict(auto_schema.resolve_serializer(part, direction).ref)
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return {"type": "string", "enum": [member.value for member in hint]}
    plain: dict[Any, dict[str, Any]] = {
        bool: {"type": "boolean"},
        int: {"type": "integer", "format": "int64"},
        float: {"type": "number", "format": "double"},
        bytes: {"type": "string", "format": "byte"},
    }
    return dict(plain.get(hint, {"type": "string"}))
