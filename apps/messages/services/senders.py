"""Settings of senders, the pool's fee rules, and those of methods."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, Final

from django.db import transaction
from django.db.models import F
from django.utils.translation import gettext

from apps.chain.errors import NodeRefused
from apps.core.errors import BadValue, NotAllowed, NotFound
from apps.core.live import Change, publish
from apps.core.transitions import advance
from apps.core.units import values_with_units
from apps.messages.errors import BadMessage, SenderNotFound, SenderShared
from apps.messages.models import ActorRules, ExtraNode, Receiver, Sender, SharedRules
from apps.messages.selectors import sender_may_set
from apps.messages.selectors.receivers import kind_from_address
from apps.messages.services.fees import shared_rules
from apps.messages.services.retry import retry_after_rule_change
from apps.messages.services.validate import fee_cap_check, receiver_kinds_resolve
from apps.messages.states import SENDER_EVENTS
from apps.users.services.audit import audit_record
from poolsite.filecoin.actors.decode import ACTOR_METHODS
from poolsite.filecoin.address import BadAddress, address_parse

if TYPE_CHECKING:
    from apps.chain.client import ChainClient
    from apps.messages.models import FeeRules
    from apps.users.principals import Principal

FEE_FIELDS: Final = ("gas_over_estimation", "max_fee", "gas_fee_cap", "gas_over_premium", "base_fee")

METHOD_DIGITS = 18


@transaction.atomic
def sender_set(
    *,
    principal: Principal,
    address: str,
    fees: dict[str, Any] | None = None,
    quota: int | None = None,
    state: str | None = None,
) -> Sender:
    """Change what is given of a sender's settings.  Raises SenderNotFound, SenderShared, BadMessage."""
    _unshared_check(principal, address)
    row = Sender.objects.select_for_update().filter(address=address).first()
    if row is None:
        raise SenderNotFound("address not exists", field="address")
    before = _shown(row)
    _fees_set(row, fees or {})
    if quota is not None:
        row.quota = _count(quota, field="quota")
    row.save()
    if state is not None and state != row.state:
        advance(row, SENDER_EVENTS[state])
    retry_after_rule_change(address=row.address)
    _audited(principal, "sender.set", address, before=before, after=_shown(row))
    publish(Change("sender", row.pk, None))
    return row


@transaction.atomic
def sender_set_nonce(*, principal: Principal, address: str, nonce: int) -> Sender:
    """Set the next nonce by hand, e.g. to close a gap; what was computed from the old one is void.

    Raises SenderNotFound, SenderShared, BadMessage.
    """
    _unshared_check(principal, address)
    row = Sender.objects.select_for_update().filter(address=address).first()
    if row is None:
        raise SenderNotFound("address not exists", field="address")
    Sender.objects.filter(pk=row.pk).update(next_nonce=_count(nonce, field="nonce"), version=F("version") + 1)
    before = {"nonce": row.next_nonce}
    row.refresh_from_db()
    _audited(principal, "sender.nonce", address, before=before, after={"nonce": row.next_nonce})
    return row


@transaction.atomic
def sender_delete(*, principal: Principal, address: str) -> None:
    """Forget a sender's settings and nonce; messages stay, and the next push makes it anew.

    Raises SenderShared.
    """
    _unshared_check(principal, address)
    for row in Sender.objects.select_for_update().filter(address=address):
        before = {**_shown(row), "nonce": row.next_nonce}
        _audited(principal, "sender.delete", address, before=before, after=None)
        row.delete()


@transaction.atomic
def shared_rules_set(*, principal: Principal, fees: dict[str, Any], quota: int | None = None) -> SharedRules:
    """Change the pool's own rules."""
    row = shared_rules()
    before = _shown(row)
    _fees_set(row, fees)
    if quota is not None:
        row.quota = _count(quota, field="quota")
    row.save()
    retry_after_rule_change()
    _audited(principal, "rules.set", "pool", before=before, after=_shown(row))
    return row


@transaction.atomic
def actor_rules_set(
    *,
    principal: Principal,
    id: uuid.UUID,  # the messager's word for it
    fees: dict[str, Any],
    code: str | None = None,
    method: int | None = None,
    actor_version: int = 0,
) -> ActorRules:
    """Make or change the rules for one method of one kind of actor."""
    row = ActorRules.objects.select_for_update().filter(pk=id).first()
    if row is None:
        if code is None or method is None:
            raise SenderNotFound("record not found", field="id")
        row = ActorRules(pk=id)
    before = _shown(row)
    if code is not None and method is not None:
        row.code, row.method, row.actor_version = code, method, actor_version
    _fees_set(row, fees)
    row.save()
    retry_after_rule_change()
    _audited(principal, "rules.set", str(row), before=before, after=_shown(row))
    return row


@transaction.atomic
def extra_node_save(
    *, principal: Principal, name: str, url: str, token: str, node_type: int = 0
) -> ExtraNode:
    """Add a node to publish to, or change the one of this name."""
    old = ExtraNode.objects.filter(name=name).first()
    before = None if old is None else {"url": old.url, "type": old.node_type}
    after = {"url": url, "type": node_type}
    audit_record(principal=principal, action="node.extra", target=name, before=before, after=after)
    defaults = {"url": url, "token": token, "node_type": node_type}
    row, _ = ExtraNode.objects.update_or_create(name=name, defaults=defaults)
    return row


@transaction.atomic
def extra_node_delete(*, principal: Principal, name: str) -> None:
    """Stop publishing to a node.  Raises SenderNotFound if there is none of this name."""
    row = ExtraNode.objects.select_for_update().filter(name=name).first()
    if row is None:
        raise SenderNotFound("record not found", field="name")
    row.delete()
    before = {"url": row.url, "type": row.node_type}
    audit_record(principal=principal, action="node.extra.remove", target=name, before=before)


def _unshared_check(principal: Principal, address: str) -> None:
    """Refuse to a tenant what would change how others send.  Raises SenderShared."""
    if not sender_may_set(principal, address):
        raise SenderShared


def _shown(row: FeeRules) -> dict[str, str | None]:
    """Return a row's settings for the audit log."""
    names = (*FEE_FIELDS, "quota", "state")
    return values_with_units({name: getattr(row, name) for name in names if hasattr(row, name)})


def _audited(
    principal: Principal, action: str, target: str, *, before: dict[str, Any], after: dict[str, Any] | None
) -> None:
    """Write one line that names only what was changed."""
    if after is not None:
        changed = [name for name in after if before.get(name) != after[name]]
        before, after = ({name: row[name] for name in changed} for row in (before, after))
    audit_record(principal=principal, action=action, target=target, before=before, after=after)


def _fees_set(row: Any, fees: dict[str, Any]) -> None:
    for name, value in fees.items():
        if name not in FEE_FIELDS or value is None:
            continue
        if value < 0:
            raise BadMessage(gettext("must not be negative"), field=name)
        if name == "gas_fee_cap":
            fee_cap_check(value)
        setattr(row, name, value)


def _count(value: int, *, field: str) -> int:
    if not 0 <= value < 1 << 31:
        raise BadMessage(gettext("must be a whole number from 0 to 2147483647"), field=field)
    return value


def receiver_read(text: str, *, client: ChainClient) -> tuple[str, str]:
    """Return kind and code of the actor at an address.  Raises BadValue, NodeUnavailable."""
    try:
        address = str(address_parse(text))
        code = str(client.state_get_actor(address).code)
    except BadAddress:
        raise BadValue(
            gettext("enter the address of an actor of that kind, such as a miner"), field="to"
        ) from None
    except NodeRefused as refusal:
        raise BadValue(
            gettext("no actor at this address: {refusal}").format(refusal=refusal.reason), field="to"
        ) from None
    kind = kind_from_address(address) or receiver_kinds_resolve([address], known={}).get(address, "")
    if kind:
        Receiver.objects.get_or_create(address=address, defaults={"kind": kind, "code": code})
    return kind, code


def method_read(text: str, *, kind: str) -> int:
    """Return a method's number, typed as its number or its name.  Raises BadValue."""
    if text.isascii() and text.isdigit() and len(text) <= METHOD_DIGITS:
        return int(text)
    for number, spec in ACTOR_METHODS.get(kind, {}).items():
        if spec.name.lower() == text.lower():
            return number
    raise BadValue(
        gettext("{kind} has no method {text!r}: enter a method name or number").format(
            kind=kind or "this kind of actor", text=text
        ),
        field="method",
    )


@transaction.atomic
def method_rule_set(*, principal: Principal, code: str, method: int, fees: dict[str, Any]) -> ActorRules:
    """Make the rule of a method, or change it.  Raises NotAllowed, BadValue, BadMessage naming the field."""
    if not principal.is_operator:
        raise NotAllowed(gettext("only the operator can change fee rules of methods"))
    if not any(fees.values()):
        raise BadValue(gettext("set at least one of the fields, or remove the rule"), field="max_fee")
    found = ActorRules.objects.filter(code=code, method=method).first()
    pk = uuid.uuid4() if found is None else found.pk
    return actor_rules_set(principal=principal, id=pk, fees=fees, code=code, method=method)


@transaction.atomic
def method_rule_remove(*, principal: Principal, key: uuid.UUID) -> None:
    """Remove a rule: the pool's own hold again.  Raises NotAllowed, NotFound."""
    if not principal.is_operator:
        raise NotAllowed(gettext("only the operator can change fee rules of methods"))
    row = ActorRules.objects.select_for_update().filter(pk=key).first()
    if row is None:
        raise NotFound(gettext("there is no such rule"))
    audit_record(principal=principal, action="rules.remove", target=str(row), before=_shown(row))
    row.delete()
    retry_after_rule_change()
