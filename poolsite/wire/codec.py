"""Documents as JSON, checked by msgspec: between console and workers, and in the processor protocol.

A field's name is its name on the wire.  Bytes are base64, tuples are arrays, enums are their values; a field
that has its default is left out.  What is not understood is refused by field and reason, so that two
versions that do not fit notice it at the first request and not in the middle of a sector.  A worker alone
takes no notice of what a newer console's answer to its registration or a heartbeat tells more: its leases
hang on it.
"""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Callable, Sequence
from functools import cache
from typing import Annotated, Any, Final, TypeVar

import msgspec
from msgspec import NODEFAULT, Meta, Struct, ValidationError
from msgspec.structs import fields

WIRE_VERSION = 1
"""Raised when a field changes its meaning; a new field with a default does not raise it."""

VERSION_FIELD = "v"
"""Where a document says which version wrote it."""

NUMBER_MAX = 2**63 - 1
"""Largest whole number either side stores."""

Int = Annotated[int, Meta(ge=-NUMBER_MAX, le=NUMBER_MAX)]
"""A whole number that either side can store."""

Text = Annotated[str, Meta(pattern=r"\A[^\x00\ud800-\udfff]*\Z")]
"""Text that a database stores and UTF-8 can say."""

T = TypeVar("T")

WHERE: Final = re.compile(r" - at (?:`key` in )?`\$([^`]*)`\Z")
"""How msgspec ends what it says of a value inside."""

UNKNOWN_FIELD: Final = "unknown field"
STEP: Final = re.compile(r"\.(\w+)|\[(\d+|\.\.\.)\]")
"""One step of the way there: a field's name, an index, or `...` for any key of a mapping."""

EXPECTED: Final = {
    "object": "must be an object",
    "array": "must be an array",
    "str": "must be text",
    "int": "must be a whole number",
    "bool": "must be true or false",
    "bytes": "must be base64 text",
}


class BadWire(ValueError):
    """A document that is not what it should be; says where and why."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}" if field else reason)
        self.field = field
        """Dotted path, as `leases.0.token`; empty for the document itself."""
        self.reason = reason


class Document(Struct, frozen=True, forbid_unknown_fields=True):
    """A document exchanged between console and workers."""


def _plain(value: Any) -> str:
    """Return a text that knows more than its words as these."""
    if isinstance(value, str):
        return str(value)
    raise TypeError(type(value).__name__)


def document_encode(value: Document) -> dict[str, Any]:
    """Return the JSON object of a document, with the version."""
    return {VERSION_FIELD: WIRE_VERSION, **msgspec.to_builtins(value, enc_hook=_plain)}


def document_send(value: Document) -> dict[str, Any]:
    """Return the same for the other side of a connection: what has its default is left out.

    An older version refuses members that it does not know: a new one stops it only where it says something.
    So a default, once released, stays: the other side may read what is left out by the one that it knows.
    """
    return {VERSION_FIELD: WIRE_VERSION, **msgspec.to_builtins(_without_defaults(value), enc_hook=_plain)}


def _without_defaults(value: Any) -> Any:
    if isinstance(value, Struct):
        members = ((name, getattr(value, name), default) for name, default in _defaults(type(value)))
        return {name: _without_defaults(member) for name, member, default in members if member != default}
    if isinstance(value, tuple):
        return [_without_defaults(item) for item in value]
    return value


@cache
def _defaults(kind: type[Struct]) -> tuple[tuple[str, Any], ...]:
    """Return each member's name and default; NODEFAULT for those that are always sent."""
    return tuple(
        (field.name, field.default if field.default_factory is NODEFAULT else field.default_factory())
        for field in fields(kind)
    )


def document_decode(kind: type[T], data: object, *, ignores_unknown: bool = False) -> T:
    """Read a versioned JSON object.  Raises BadWire naming the field.

    `ignores_unknown`: of members that `kind` does not have no notice is taken, as a newer sender has more.
    """
    if not isinstance(data, dict):
        raise BadWire("", "must be an object")
    version = data.get(VERSION_FIELD)
    if version != WIRE_VERSION or isinstance(version, bool):
        raise BadWire(VERSION_FIELD, f"must be {WIRE_VERSION}")
    document = {key: item for key, item in data.items() if key != VERSION_FIELD}
    while True:
        try:
            return decode(kind, document)
        except BadWire as error:
            rest = _without(document, error.field.split(".")) if error.reason == UNKNOWN_FIELD else document
            if not ignores_unknown or rest == document:
                raise
            document = rest


def _without(data: Any, path: Sequence[str]) -> Any:
    """Return a copy of a JSON value that lacks the member at this path."""
    name, *rest = path
    if isinstance(data, list) and rest:
        return [_without(item, rest) if str(at) == name else item for at, item in enumerate(data)]
    if not isinstance(data, dict):  # a member's name has a dot
        return data
    if rest:
        return {key: _without(item, rest) if key == name else item for key, item in data.items()}
    return {key: item for key, item in data.items() if key != name}


def decode(kind: type[T], data: object, *, hook: Callable[[type, Any], Any] | None = None) -> T:
    """Read a JSON value; `hook` reads what msgspec does not know.  Raises BadWire naming the field."""
    try:
        return msgspec.convert(data, kind, dec_hook=hook)
    except ValidationError as error:
        raise _refusal(kind, data, error) from None
    except UnicodeEncodeError:  # of a text where something else is due
        raise BadWire("", "a text has half of a surrogate pair") from None


def _refusal(kind: Any, data: Any, error: ValidationError) -> BadWire:
    """Return what msgspec found, in our words."""
    message, names = str(error), []
    where = WHERE.search(message)
    for name, index in STEP.findall(where[1] if where else ""):
        name, kind = _step(_present(kind), data, name or index)
        data = data[name]
        names.append(str(name))
    if isinstance(error.__cause__, BadWire):
        field, reason = error.__cause__.field, error.__cause__.reason
    else:
        field, reason = _reason(_present(kind), data, message)
    is_member = field or reason == UNKNOWN_FIELD  # whose name may be empty
    return BadWire(".".join([*names, field] if is_member else names), reason)


def _present(kind: Any) -> Any:
    """Return the type of a value that is there, of one that may be None."""
    if typing.get_origin(kind) in (types.UnionType, typing.Union):
        return next(arm for arm in typing.get_args(kind) if arm is not types.NoneType)
    return kind


def _step(kind: Any, data: Any, name: str) -> tuple[Any, Any]:
    """Return the key or index of a value inside, and its type; for a mapping msgspec does not say which."""
    arguments = typing.get_args(kind)
    if name == "...":
        return next(key for key, item in data.items() if not _is_valid(arguments[1], item)), arguments[1]
    if name.isdecimal():
        return int(name), arguments[0]
    return name, typing.get_type_hints(kind, include_extras=True)[name]


def _is_valid(kind: Any, data: Any) -> bool:
    try:
        msgspec.convert(data, kind)
    except ValidationError:
        return False
    return True


def _reason(kind: Any, data: Any, message: str) -> tuple[str, str]:
    """Return the member that is meant, if it is one of the value's, and what is wrong with it."""
    if message.startswith("Object "):
        return message.split("`")[1], "missing" if "missing" in message else UNKNOWN_FIELD
    if message.startswith("Invalid enum value"):
        return "", f"must be one of {', '.join(str(member.value) for member in kind)}"
    if "matching regex" in message:
        return "", f"must not contain {'a zero byte' if chr(0) in data else 'an incomplete character'}"
    if message.startswith("Expected `int` "):
        return "", "out of range"
    return "", EXPECTED["bytes" if "base64" in message else message.split("`")[1].split()[0]]
