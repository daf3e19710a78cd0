"""Messages as people read them: the name of the called method, and its parameters as named fields.

Source: lotus chain/stmgr/utils.go GetParamType, cli/state.go JsonParams; go-state-types
builtin/v18/*/methods.go.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from poolsite.filecoin.actors import (
    account,
    cron,
    datacap,
    eam,
    evm,
    init,
    market,
    miner,
    multisig,
    paych,
    power,
    reward,
    verifreg,
)
from poolsite.filecoin.actors.method import params_at
from poolsite.filecoin.address import (
    CRON_ACTOR,
    DATACAP_ACTOR,
    EAM_ACTOR,
    INIT_ACTOR,
    MARKET_ACTOR,
    POWER_ACTOR,
    REWARD_ACTOR,
    VERIFREG_ACTOR,
    Address,
)
from poolsite.filecoin.cbor import BadCbor, decode
from poolsite.filecoin.cids import Cid, cid_to_json
from poolsite.filecoin.codec import from_cbor, from_json, struct_of, to_cbor, to_json
from poolsite.filecoin.kinds import AMOUNT, BadField

if TYPE_CHECKING:
    from poolsite.filecoin.actors.method import MethodSpec

ACTOR_METHODS: Final[Mapping[str, Mapping[int, MethodSpec]]] = MappingProxyType(
    {
        "account": account.METHODS,
        "cron": cron.METHODS,
        "datacap": datacap.METHODS,
        "eam": eam.METHODS,
        "evm": evm.METHODS,
        "init": init.METHODS,
        "market": market.METHODS,
        "miner": miner.METHODS,
        "multisig": multisig.METHODS,
        "paych": paych.METHODS,
        "power": power.METHODS,
        "reward": reward.METHODS,
        "verifreg": verifreg.METHODS,
    }
)
"""Methods by kind of actor, with the names of lotus' bundles (storageminer is `miner`, and so on)."""

_SINGLETONS: Final = MappingProxyType(
    {
        INIT_ACTOR: "init",
        REWARD_ACTOR: "reward",
        CRON_ACTOR: "cron",
        POWER_ACTOR: "power",
        MARKET_ACTOR: "market",
        VERIFREG_ACTOR: "verifreg",
        DATACAP_ACTOR: "datacap",
        EAM_ACTOR: "eam",
    }
)
"""Kind of each actor of which there is one, by its address."""
_PAID_IN_FIL: Final = frozenset({"market", "miner", "multisig", "paych", "reward"})
"""Kinds whose big integers are attoFIL; those of others count data cap, power or a token's units."""
_MANIFOLD: Final = ("miner", "multisig", "paych", "evm")
"""Kinds of which there are many actors, and which have methods with parameters of their own."""
_BUNDLE_NAMES: Final = MappingProxyType(
    {
        "storageminer": "miner",
        "storagepower": "power",
        "storagemarket": "market",
        "verifiedregistry": "verifreg",
        "paymentchannel": "paych",
        "ethaccount": "account",
        "placeholder": "account",
    }
)
"""Kinds by names of lotus' bundles that are not the kind's own; the last two act as accounts."""


def actor_kind(address: Address, *, code_name: str = "") -> str:
    """Return an actor's kind, by its address where that tells, else by the name of its code in the bundle.

    `code_name` is such as `fil/18/storageminer` or `storageminer`; the result is empty if neither tells.
    """
    if address in _SINGLETONS:
        return _SINGLETONS[address]
    name = code_name.rpartition("/")[2]
    return _BUNDLE_NAMES.get(name, name)


def kind_by_params(method: int, params: bytes) -> str:
    """Return the kind whose method of this number can read these parameters; empty unless exactly one can.

    For receivers of which only the address is known.  The singleton actors are left out: their address tells.
    """
    found = []
    for kind in _MANIFOLD:
        spec = method_spec(kind, method)
        if method and spec is not None and any(form_fits(form, params) for form in spec.forms):
            found.append(kind)
    return found[0] if len(found) == 1 else ""


def method_spec(kind: str, method: int, *, version: int | None = None) -> MethodSpec | None:
    """Return what is known of a method, or None; its form at a network version, else the newest."""
    spec = ACTOR_METHODS.get(kind, {}).get(method)
    return None if spec is None else spec.at(version)


def changed_methods(to: Address, method: int) -> list[MethodSpec]:
    """Return those methods of a number that take other parameters than before, of the kinds `to` may be."""
    only = _SINGLETONS.get(to)
    kinds = ACTOR_METHODS if only is None else (only,)
    specs = (ACTOR_METHODS[kind].get(method) for kind in kinds)
    return [spec for spec in specs if spec is not None and spec.earlier]


def params_forms(to: Address, method: int, params: bytes) -> list[bytes]:
    """Return parameters as they are, and in the other forms of their method that can say the same."""
    found = [params]
    for spec in changed_methods(to, method):
        for form in spec.forms:
            with contextlib.suppress(BadField):
                found.append(params_at(spec, params, version=form.since))
    return list(dict.fromkeys(found))


def params_alike(to: Address, method: int, first: bytes, second: bytes) -> bool:
    """Return whether parameters say the same, be it in different forms of their method."""
    return first == second or any(
        params_at(spec, first, version=spec.since) == params_at(spec, second, version=spec.since)
        for spec in changed_methods(to, method)
    )


def method_name(kind: str, method: int) -> str:
    """Return Go's name of a method; `Send` for 0, `Method <n>` for an unknown one."""
    if method == 0:
        return "Send"
    spec = method_spec(kind, method)
    return spec.name if spec is not None else f"Method {method}"


def params_decode(kind: str, method: int, params: bytes, *, version: int | None = None) -> Any:
    """Return the parameters as the JSON object that StateDecodeParams gives; None for a method without.

    They are read in the form of a network version; without one, in the newest form that fits them.
    Raises BadCbor if the bytes are not this method's parameters, KeyError if the method is unknown.
    """
    spec = method_spec(kind, method, version=version)
    if method == 0 or (not params and (spec is None or spec.params is None)):
        return None
    if spec is None or spec.params is None:
        raise KeyError(f"the parameters of {kind} method {method} are unknown")
    form = spec.params if version is not None else _form_fitting(spec, params)
    return to_json(from_cbor(form, params))


def _form_fitting(spec: MethodSpec, params: bytes) -> type[Any]:
    """Return the newest class of a method's parameters that the bytes fit, the newest if none does."""
    fitting = (form.params for form in spec.forms if form_fits(form, params))
    return next((cls for cls in fitting if cls is not None), spec.params or object)


def form_fits(form: MethodSpec, params: bytes) -> bool:
    """Return whether parameters have this form of a method."""
    if form.params is None:
        return not params
    try:
        from_cbor(form.params, params)
    except BadCbor:
        return False
    return True


def fil_fields(kind: str, method: int) -> frozenset[str]:
    """Return the JSON names of a method's parameters that are attoFIL; parts of nested ones are not named."""
    spec = method_spec(kind, method)
    if kind not in _PAID_IN_FIL or spec is None or spec.params is None:
        return frozenset()
    fields = struct_of(spec.params).fields
    return frozenset(field.json for field in fields if field.kind is AMOUNT and field.attr != "power")


def params_display(kind: str, method: int, params: bytes, *, version: int | None = None) -> Any:
    """Return the parameters as well as they can be read: named fields, else plain CBOR, else hexadecimal.

    None without parameters.  Plain CBOR shows bytes as hexadecimal text and links as in JSON.
    """
    try:
        return params_decode(kind, method, params, version=version)
    except (BadCbor, KeyError):
        if not params:
            return None
    try:
        return _plain(decode(params))
    except BadCbor:
        return params.hex()


def _plain(value: Any) -> Any:
    """Return a value of CBOR as JSON can show it: bytes in hex, CIDs as Go writes them."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Cid):
        return cid_to_json(value)
    if isinstance(value, list):
        return [_plain(part) for part in value]
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    return value


def params_encode(kind: str, method: int, value: Any, *, version: int | None = None) -> bytes:
    """Return the CBOR of parameters given as JSON (StateEncodeParams).  Raises BadField, KeyError."""
    spec = method_spec(kind, method, version=version)
    if spec is None:
        raise KeyError(f"{kind} has no known method {method}")
    if spec.params is None:
        return b""
    return to_cbor(from_json(spec.params, value))


def return_decode(kind: str, method: int, data: bytes, *, version: int | None = None) -> Any:
    """Return a return value as JSON; None for none.  Raises BadCbor, KeyError."""
    spec = method_spec(kind, method, version=version)
    if not data:
        return None
    if spec is None or spec.returns is None:
        raise KeyError(f"the return value of {kind} method {method} is unknown")
    return to_json(from_cbor(spec.returns, data))
