"""Reading what sophon-auth's clients send: query, JSON or form, keys in any case; complaints in gin's words.

Source: ipfs-force-community/sophon-auth auth/transport.go; gin-gonic/gin binding; measured texts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl

from django.http import HttpRequest

from apps.core.sanitize import has_marks
from poolsite.filecoin.address import BadAddress, address_parse

Json = Any

TEXT_MAX: Final = 4096
"""Longest text; tokens are below 1,000 characters."""
LIST_MAX: Final = 1000


class AuthFault(Exception):
    """Answered as `{"error": text}`."""

    def __init__(self, text: str, *, status: int = 400) -> None:
        super().__init__(text)
        self.text = text
        self.status = status


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a request."""

    name: str
    """Go's spelling, as in error texts."""
    read: Callable[[Json], Any]
    default: Any = None
    is_required: bool = False

    @property
    def key(self) -> str:
        """Return what it is called in the handler's data."""
        return self.name.lower()


def text(value: Json) -> str:
    """Read a text."""
    if not isinstance(value, str):
        raise AuthFault(f"json: cannot unmarshal {go_kind(value)} into Go struct field of type string")
    if (
        len(value) > TEXT_MAX
        or "\0" in value
        or has_marks(value)
        or any("\ud800" <= char <= "\udfff" for char in value)
    ):
        raise AuthFault("the text is too long or contains characters that are not allowed")
    return value


def optional_text(value: Json) -> str | None:
    """Read a text or null."""
    return None if value is None else text(value)


def integer(value: Json) -> int:
    """Read a number; in a query it comes as text."""
    if isinstance(value, str):
        if not re.fullmatch(r"[+-]?[0-9]{1,18}", value):
            raise AuthFault(f'strconv.ParseInt: parsing "{value[:40]}": invalid syntax')
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) >= 2**63:
        raise AuthFault(f"json: cannot unmarshal {go_kind(value)} into Go struct field of type int64")
    return value


def flag(value: Json) -> bool:
    """Read true or false."""
    if value in ("true", "1", "false", "0"):
        return value in ("true", "1")
    if not isinstance(value, bool):
        raise AuthFault(f"json: cannot unmarshal {go_kind(value)} into Go struct field of type bool")
    return value


def address(value: Json) -> str:
    """Read an address with either prefix.  An empty one stays empty."""
    address_text = text(value)
    if not address_text:
        return ""
    try:
        return str(address_parse(address_text))
    except BadAddress as error:
        raise AuthFault(str(error)) from None


def texts(value: Json) -> list[str]:
    """Read a list of texts; null is an empty one."""
    if value is None:
        return []
    if not isinstance(value, list) or len(value) > LIST_MAX:
        raise AuthFault(f"json: cannot unmarshal {go_kind(value)} into Go struct field of type []string")
    return [text(item) for item in value]


def addresses(value: Json) -> list[str]:
    """Read a list of addresses."""
    return [address(item) for item in texts(value)]


def lowered(value: Json) -> dict[str, Json]:
    """Read an object; Go matches keys in any case."""
    if not isinstance(value, dict):
        raise AuthFault(f"json: cannot unmarshal {go_kind(value)} into Go value of type struct")
    return {str(key).lower(): item for key, item in value.items()}


def go_kind(value: Json) -> str:
    """Name a JSON value as Go's decoder does."""
    if isinstance(value, bool):
        return "bool"
    kinds = {str: "string", int: "number", float: "number", list: "array", dict: "object"}
    return kinds.get(type(value), "null")


def request_values(request: HttpRequest) -> dict[str, Json]:
    """Read query (GET) or body.  Raises AuthFault with Go's words for what is no JSON."""
    if request.method == "GET":
        return {key.lower(): value for key, value in request.GET.items()}
    body = request.body
    if request.content_type != "application/json":
        try:
            pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=LIST_MAX)
        except ValueError:
            raise AuthFault("the form could not be parsed") from None
        return {key.lower(): value for key, value in pairs}
    if not body.strip():
        raise AuthFault("EOF")
    try:
        return lowered(json.loads(body))
    except (ValueError, RecursionError) as error:
        raise AuthFault(go_json_fault(body, error)) from None


def go_json_fault(body: bytes, error: Exception) -> str:
    """Return what is wrong with JSON as Go's decoder does, where its words are simple."""
    if isinstance(error, json.JSONDecodeError):
        if error.pos >= len(error.doc.rstrip()):
            return "unexpected EOF"
        char = error.doc[error.pos]
        looking = "object key string" if error.msg.startswith("Expecting property name") else "value"
        return f"invalid character {char!r} looking for beginning of {looking}"
    return "invalid character in the body" if body else "EOF"


def fields_read(values: dict[str, Json], fields: Sequence[Field], *, struct: str) -> dict[str, Any]:
    """Read the fields of a request.  Raises AuthFault; missing ones are named together, as gin does."""
    missing = [
        f"Key: '{struct}.{field.name}' Error:Field validation for '{field.name}' failed on the 'required' tag"
        for field in fields
        if field.is_required and values.get(field.key) in (None, "", [])
    ]
    if missing:
        raise AuthFault("\n".join(missing))
    data: dict[str, Any] = {}
    for field in fields:
        value = values.get(field.key)
        data[field.key] = field.default if value is None else field.read(value)
    return data
