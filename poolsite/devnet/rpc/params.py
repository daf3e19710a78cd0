"""Readers of positional JSON-RPC parameters, named by the Go types that lotus prints in its refusals."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from poolsite.filecoin.address import UNDEF, BadAddress, address_parse
from poolsite.filecoin.amounts import BadAmount, amount_parse
from poolsite.filecoin.cids import BadCid, cid_from_json
from poolsite.filecoin.kinds import BadField, bytes_from_json
from poolsite.wire.jsonrpc.parameters import BadParam, Param

if TYPE_CHECKING:
    from poolsite.filecoin.address import Address
    from poolsite.filecoin.cids import Cid


MIN_INT64: Final = -(1 << 63)
MAX_INT64: Final = (1 << 63) - 1
MAX_UINT64: Final = (1 << 64) - 1


def go_kind(value: Any) -> str:
    """Return what Go's refusals call a JSON value."""
    kinds = {bool: "bool", str: "string", int: "number", float: "number", list: "array", dict: "object"}
    return kinds.get(type(value), "null")


def go_json(value: Any) -> str:
    """Return a JSON value as it was sent, but for its spaces."""
    return json.dumps(value, separators=(",", ":"))


def _wrong(value: Any, go_type: str) -> BadParam:
    return BadParam(f"json: cannot unmarshal {go_kind(value)} into Go value of type {go_type}")


def _address(value: Any) -> Address:
    if value is None or value in ("", "<empty>"):
        return UNDEF
    if not isinstance(value, str):
        raise _wrong(value, "string")
    return address_parse(value)


def _cid(value: Any) -> Cid:
    try:
        cid = cid_from_json(value)
    except BadCid as error:
        raise BadParam(f"invalid cid: {error}") from None
    if cid is None:
        raise BadParam("invalid cid: cid too short")
    return cid


def _tipset_key(value: Any) -> tuple[Cid, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise _wrong(value, "[]cid.Cid")
    return tuple(_cid(item) for item in value)


def _int(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float):
        if value is None:
            return 0
        raise _wrong(value, "int64")
    if value != value // 1 or not MIN_INT64 <= value <= MAX_UINT64:
        raise BadParam(f"json: cannot unmarshal number {value} into Go value of type int64")
    return int(value)


def _int64(value: Any) -> int:
    number = _int(value)
    if number > MAX_INT64:
        raise BadParam(f"json: cannot unmarshal number {number} into Go value of type int64")
    return number


def _uint(value: Any) -> int:
    number = _int(value)
    if number < 0:
        raise BadParam(f"json: cannot unmarshal number {number} into Go value of type uint64")
    return number


def _float(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong(value, "float64")
    return float(value)


def _bool(value: Any) -> bool:
    if value is None:
        return False
    if not isinstance(value, bool):
        raise _wrong(value, "bool")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise _wrong(value, "string")
    return value


def _big(value: Any) -> int:
    if value is None:
        return 0
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return amount_parse(_text(value)) if value != "" else 0


def _anything(value: Any) -> Any:
    return value


ADDRESS: Final = Param("address.Address", _address)
CID: Final = Param("cid.Cid", _cid)
TIPSET_KEY: Final = Param("types.TipSetKey", _tipset_key)
EPOCH: Final = Param("abi.ChainEpoch", _int64)
INT: Final = Param("int64", _int64)
UINT: Final = Param("uint64", _uint)
FLOAT: Final = Param("float64", _float)
BOOL: Final = Param("bool", _bool)
TEXT: Final = Param("string", _text)
BYTES: Final = Param("[]uint8", bytes_from_json)
BIG: Final = Param("big.Int", _big)
JSON: Final = Param("interface {}", _anything)

PARAM_ERRORS: Final = (BadParam, BadAddress, BadAmount, BadCid, BadField)
"""What a reader may raise."""


def decoded(go_type: str, read: Callable[[Any], Any]) -> Param:
    """Return a parameter read by a codec of the library."""
    return Param(go_type, read)


def list_param(item: Param) -> Param:
    """Return a list of parameters; null is empty."""

    def read(value: Any) -> list[Any]:
        if value is None:
            return []
        if not isinstance(value, list):
            raise _wrong(value, f"[]{item.go}")
        return [item.decode(entry) for entry in value]

    return Param(f"[]{item.go}", read)


def optional(item: Param) -> Param:
    """Return a pointer: null is None."""
    return Param(f"*{item.go}", lambda value: None if value is None else item.decode(value))
