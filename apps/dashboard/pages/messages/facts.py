"""A message on chain and its parameters, as facts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.chain.selectors.upgrades import params_version
from apps.core import formatting
from apps.core.addresses import address_both
from apps.core.languages import list_text
from apps.core.reasons import shown_text
from apps.dashboard.cards import Fact
from apps.messages.rules.methods import receiver_kind
from apps.messages.selectors.receivers import receiver_kinds
from apps.messages.states import MessageState
from poolsite.filecoin.actors.decode import (
    fil_fields,
    kind_by_params,
    method_name,
    params_decode,
    params_display,
)
from poolsite.filecoin.actors.exitcodes import exit_code_text
from poolsite.filecoin.actors.method import params_read
from poolsite.filecoin.actors.multisig import Method, ProposeParams
from poolsite.filecoin.amounts import fil_format
from poolsite.filecoin.cbor import BadCbor

if TYPE_CHECKING:
    from apps.messages.models import Message

PARAM_CUT: Final = 400
"""Characters of one parameter that the page shows; a proof is longer than a screen."""


def chain_facts(message: Message) -> Iterable[Fact]:
    """Yield its id, and what the chain has of it, or will have."""
    yield Fact(_("Id"), message.pk, mono=True)
    if message.push_id != message.pk:
        yield Fact(_("Id of its caller"), message.push_id, mono=True)
    yield Fact(_("CID"), message.cid or formatting.NOTHING, mono=True)
    yield Fact(_("From"), address_both(message.from_addr), mono=True)
    yield Fact(_("To"), address_both(message.to), mono=True)
    yield Fact(_("Value"), fil_format(int(message.value)))
    yield Fact(_("Nonce"), formatting.whole(message.nonce))
    yield Fact(_("Gas limit"), formatting.whole(message.gas_limit or None))
    fees = list_text(map(formatting.fee_text, (message.gas_fee_cap, message.gas_premium)))
    yield Fact(_("Fee cap, premium"), fees if message.gas_fee_cap else formatting.NOTHING)
    if message.state == MessageState.LANDED:
        yield Fact(_("Epoch"), formatting.whole(message.height))
        yield Fact(_("Exit code"), list_text((message.exit_code, gettext(exit_code_text(message.exit_code)))))
        if message.error:
            yield Fact(_("Actor error"), shown_text(message.error))
        yield Fact(_("Gas used"), formatting.whole(message.gas_used))
        yield Fact(_("Return value"), _cut(bytes(message.return_data).hex()) or gettext("nothing"), mono=True)


def kind_of(message: Message, *, miners: set[str]) -> str:
    """Return the receiver's kind: as it is known, else of the only actor that can read the parameters."""
    kind = receiver_kind(message.to, kind=message.kind, miners=miners)
    kind = kind or receiver_kinds([message.to]).get(message.to, "")
    return kind or kind_by_params(message.method, bytes(message.params))


def param_facts(message: Message, *, miners: set[str], most: int = PARAM_CUT) -> Iterable[Fact]:
    """Yield the parameters as readable fields of `most` characters; raw bytes where they do not decode."""
    encoded = bytes(message.params)
    if not encoded:
        yield Fact(_("Parameters"), gettext("none"))
        return
    kind = kind_of(message, miners=miners)
    try:
        version = params_version(kind, message.method, height=message.height)
        read = params_decode(kind, message.method, encoded, version=version)
        fields = fil_shown(kind, message.method, read)
    except (BadCbor, KeyError):
        fields = None
    if not isinstance(fields, dict):
        yield Fact(_("Parameters"), _cut(encoded.hex(), most=most), mono=True)
        return
    for name, value in fields.items():
        yield Fact(
            name, _cut(params_text(value), most=most) or gettext("none"), mono=not isinstance(value, int)
        )


def proposal_facts(message: Message, *, miners: set[str]) -> Iterable[Fact]:
    """Yield what a multisig is asked to send, where a message asks for that."""
    try:
        inner = params_read(ProposeParams, bytes(message.params))
    except (BadCbor, ValueError):
        return
    if message.method not in (Method.PROPOSE, Method.PROPOSE_EXPORTED):
        return
    to = str(inner.to)
    kind = "miner" if to in miners else receiver_kinds([to]).get(to, "")
    kind = kind or kind_by_params(int(inner.method), inner.params)
    yield Fact(_("Proposed method"), method_name(kind, int(inner.method)))
    yield Fact(_("Proposed receiver"), to, mono=True)
    yield Fact(_("Proposed value"), fil_format(int(inner.value)))
    method = int(inner.method)
    shown = fil_shown(kind, method, params_display(kind, method, inner.params))
    yield Fact(_("Proposed parameters"), params_text(shown) or gettext("none"), mono=True)


def fil_shown(kind: str, method: int, fields: Any) -> Any:
    """Return decoded parameters with their amounts in FIL."""
    amounts = fil_fields(kind, method) if isinstance(fields, dict) else ()
    return {**fields, **{name: fil_format(int(fields[name])) for name in amounts}} if amounts else fields


def params_text(value: Any) -> str:
    """Return a decoded parameter in one line."""
    if isinstance(value, list | tuple):
        return list_text(params_text(part) for part in value)
    if isinstance(value, dict):
        return list_text(f"{name} {params_text(part)}" for name, part in value.items())
    return "" if value is None else str(value)


def _cut(text: str, *, most: int = PARAM_CUT) -> str:
    return (
        text
        if len(text) <= most
        else gettext("{text}… ({length} characters)").format(text=text[:most], length=len(text))
    )
