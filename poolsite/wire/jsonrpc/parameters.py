"""Method tables of JSON-RPC and what their positional parameters may be, with Go's names and texts.

Source: ipfs-force-community/go-jsonrpc v0.1.9 handler.go.
"""

from __future__ import annotations

import base64
import binascii
import inspect
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from poolsite.filecoin.address import UNDEF, Address, BadAddress, address_parse
from poolsite.filecoin.cids import BadCid, Cid, cid_parse
from poolsite.wire.jsonrpc.messages import CODE_PARAMS, CODE_PARSE, Json, RpcError


class BadParam(ValueError):
    """A parameter that cannot be read; the text says why."""


@dataclass(frozen=True, slots=True)
class Param:
    """One positional parameter."""

    go: str
    """Go's name of its type, which its error text holds."""
    decode: Callable[[Json], Any]
    """Reads the JSON.  Raises BadParam."""


@dataclass(frozen=True, slots=True)
class RpcMethod:
    """One row of a method table."""

    perm: str
    """Level that the caller needs: read, write, sign, admin."""
    handler: Callable[..., Any]
    """Called with the call and the decoded parameters; plain, coroutine, or (over sockets) async generator
    function, which becomes a channel."""
    params: tuple[Param, ...] = ()
    scope: str = ""
    """A token with scopes reaches only methods of these; the empty word is the general scope."""
    void: bool = False
    """Returns only an error in Go: the answer has no `result`."""
    channel: bool = False
    """A coroutine that checks first and then gives an async iterator; generators are channels anyway."""
    is_raw: bool = False
    """Receives its parameters undecoded, whatever their number."""
    is_long: bool = False
    """May wait for minutes."""
    asks_node: bool = False
    """Waits for a chain node or a signer."""
    operator_only: bool = False
    """A tenant's caller is refused whatever its level."""
    instead: str = ""
    """What such a caller does instead, for the refusal; empty where there is nothing."""
    is_response: bool = False
    """Brings the answer to a request of ours: no call, which rates do not count."""
    optional: int = 0
    """How many of the last parameters may be left out; the handler has defaults for them."""

    @property
    def is_channel(self) -> bool:
        """Return whether its result is a channel, which needs a socket."""
        return self.channel or inspect.isasyncgenfunction(self.handler)


def text(value: Json) -> str:
    """Read a string that a database can hold."""
    if not isinstance(value, str):
        raise BadParam("json: cannot unmarshal into Go value of type string")
    if "\0" in value or any("\ud800" <= char <= "\udfff" for char in value):
        raise BadParam("the text holds characters that are not allowed")
    return value


def number(value: Json) -> int:
    """Read a whole number of 64 bits."""
    if isinstance(value, bool) or not isinstance(value, int) or not -(2**63) <= value < 2**64:
        raise BadParam("json: cannot unmarshal into Go value of type int64")
    return value


def boolean(value: Json) -> bool:
    """Read true or false."""
    if not isinstance(value, bool):
        raise BadParam("json: cannot unmarshal into Go value of type bool")
    return value


def blob(value: Json) -> bytes:
    """Read Go's []byte: base64 with padding; null is empty."""
    if value is None:
        return b""
    if not isinstance(value, str):
        raise BadParam("json: cannot unmarshal into Go value of type []uint8")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise BadParam("illegal base64 data") from None


def address(value: Json) -> Address:
    """Read an address with either prefix; empty text is the undefined one."""
    if value == "":
        return UNDEF
    try:
        return address_parse(text(value))
    except BadAddress as error:
        raise BadParam(str(error)) from None


def cid(value: Json) -> Cid:
    """Read `{"/": "bafy…"}`."""
    if not isinstance(value, dict) or not isinstance(value.get("/"), str):
        raise BadParam("invalid cid: not a link")
    try:
        return cid_parse(value["/"])
    except BadCid as error:
        raise BadParam(str(error)) from None


def identifier(value: Json) -> str:
    """Read a UUID."""
    try:
        return str(uuid.UUID(text(value)))
    except ValueError:
        raise BadParam("invalid UUID") from None


def fields(value: Json) -> dict[str, Json]:
    """Read an object; Go matches keys in any case, so they come out in lower case."""
    if not isinstance(value, dict):
        raise BadParam("json: cannot unmarshal into Go value of type struct")
    return {str(key).lower(): item for key, item in value.items()}


def anything(value: Json) -> Json:
    """Return any JSON as it is."""
    return value


ANY: Final = Param("interface {}", anything)
TEXT: Final = Param("*string", text)
NUMBER: Final = Param("*int64", number)
BOOL: Final = Param("*bool", boolean)
BYTES: Final = Param("*[]uint8", blob)
ADDRESS: Final = Param("*address.Address", address)
CID: Final = Param("*cid.Cid", cid)
UUID: Final = Param("*types.UUID", identifier)
OBJECT: Final = Param("*struct", fields)


def list_of(item: Param) -> Param:
    """Return a slice; null is an empty one."""

    def decode(value: Json) -> list[Any]:
        if value is None:
            return []
        if not isinstance(value, list):
            raise BadParam("json: cannot unmarshal into Go value of type slice")
        return [item.decode(one) for one in value]

    return Param(f"*[]{item.go.removeprefix('*')}", decode)


def nullable(item: Param) -> Param:
    """Return a pointer; null is None."""
    return Param(f"*{item.go}", lambda value: None if value is None else item.decode(value))


def params_decode(name: str, method: RpcMethod, params: list[Json]) -> list[Any]:
    """Read the positional parameters.  Raises RpcError with the fork's texts."""
    if method.is_raw:
        return params
    if not len(method.params) - method.optional <= len(params) <= len(method.params):
        message = f"(error code {CODE_PARAMS}) wrong param count (method '{name}'): "
        raise RpcError(f"{message}{len(params)} != {len(method.params)}", code=CODE_PARAMS, status=500)
    decoded = []
    for param, value in zip(method.params, params, strict=False):
        try:
            decoded.append(param.decode(value))
        except (BadParam, RecursionError) as error:
            message = (
                f"(error code {CODE_PARSE}) unmarshaling params for '{name}' (param: {param.go}): {error}"
            )
            raise RpcError(f"{message}: error code {CODE_PARSE}", code=CODE_PARSE, status=500) from None
    return decoded
