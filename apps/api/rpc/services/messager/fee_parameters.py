"""The messager's fee rules as its JSON writes them, with their parameters."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any, Final

from apps.api.rpc.services.messager.json_values import big, factor, optional
from poolsite.filecoin.address import UNDEF, Address
from poolsite.wire.jsonrpc.parameters import BadParam, Param, address, cid, fields, identifier, number, text


@dataclass(frozen=True, slots=True)
class Fees:
    """A fee rule of the wire; None leaves a setting as it is."""

    values: dict[str, Any]
    quota: int | None = None
    id: str = ""
    address: Address = UNDEF
    code: str = ""
    method: int = 0
    version: int = 0


_FEE_MEMBERS: Final = {
    "gas_over_estimation": ("gasoverestimation", factor),
    "max_fee": ("maxfee", big),
    "gas_fee_cap": ("gasfeecap", big),
    "gas_over_premium": ("gasoverpremium", factor),
    "base_fee": ("basefee", big),
}


def _fees_of(row: dict[str, Any]) -> dict[str, Any]:
    """Read the five settings that are there; a null number is refused as Go does, a null factor unset."""
    found = {}
    for name, (member, read) in _FEE_MEMBERS.items():
        if member in row and not (row[member] is None and read is factor):
            found[name] = read(row[member])
    return found


def shared_spec(value: Any) -> Fees:
    """Read SharedSpec."""
    row = fields(value)
    return Fees(_fees_of(row), quota=optional(row.get("selmsgnum"), number, None))


def fee_changes(value: Any) -> Fees:
    """Read ChangeGasSpecParams.  Go clients send "0" for what they leave unset: it means unchanged."""
    found = _fees_of(fields(value))
    return Fees({name: item for name, item in found.items() if item})


def actor_cfg(value: Any) -> Fees:
    """Read ActorCfg."""
    row = fields(value)
    return Fees(
        _fees_of(row),
        id=optional(row.get("id"), identifier, "") or str(uuid.uuid4()),
        code=str(cid(row.get("code"))),
        method=optional(row.get("method"), number, 0),
        version=optional(row.get("version"), number, 0),
    )


def address_spec(value: Any) -> Fees:
    """Read AddressSpec; empty and zero mean unchanged, except for fees written as "0"."""
    row = fields(value)
    found: dict[str, Any] = {}
    for name in ("gasoverestimation", "gasoverpremium"):
        ratio = optional(row.get(name), factor, 0.0)
        if ratio:
            found["gas_over_" + name.removeprefix("gasover")] = ratio
    parts = (("max_fee", "maxfeestr", "maxfee"), ("gas_fee_cap", "gasfeecapstr", "gas-feecap"))
    for name, member, word in (*parts, ("base_fee", "basefeestr", "basefee")):
        words = optional(row.get(member), text, "")
        if words:
            if not words.isascii() or not words.isdigit() or len(words) > 60:
                raise BadParam(f"parsing {word} failed {words!r} is not a decimal number")
            found[name] = int(words)
    return Fees(found, address=optional(row.get("address"), address, UNDEF))


SHARED: Final = Param("**messager.SharedSpec", shared_spec)
CHANGES: Final = Param("**messager.ChangeGasSpecParams", fee_changes)
ACTOR_CFG: Final = Param("**messager.ActorCfg", actor_cfg)
ADDRESS_SPEC: Final = Param("**messager.AddressSpec", address_spec)
