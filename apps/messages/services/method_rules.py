"""Fee rules of the methods of one kind of actor."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import IntegrityError, transaction

from apps.chain.errors import NodeRefused
from apps.chain.node.client import ChainClient
from apps.core.errors import BadValue, Conflict, NotAllowed, NotFound
from apps.core.marked_texts import gettext
from apps.messages.errors import RuleNotFound
from apps.messages.models import ActorRules, Receiver
from apps.messages.selectors.receivers import kind_from_address, kinds_of_codes
from apps.messages.selectors.rules import MethodRules
from apps.messages.services.fee_rules import fees_set, rules_audit, rules_describe
from apps.messages.services.receiver_lookup import receiver_kinds_resolve
from apps.messages.services.retry import retry_after_rule_change
from apps.users.rules.principals import Principal
from apps.users.services.audit import audit_record
from poolsite.filecoin.actors.decode import ACTOR_METHODS
from poolsite.filecoin.address import BadAddress, address_parse

METHOD_DIGITS = 19


@transaction.atomic
def actor_rules_set(
    *,
    principal: Principal,
    id: uuid.UUID,  # the messager's own name for this parameter
    fees: dict[str, Any],
    code: str | None = None,
    method: int | None = None,
    actor_version: int = 0,
) -> ActorRules:
    """Make or change the rules for one method of one kind of actor.

    Raises SenderNotFound for an unknown id without a method, Conflict if the method has rules already.
    """
    row = ActorRules.objects.select_for_update().filter(pk=id).first()
    if row is None:
        if code is None or method is None:
            raise RuleNotFound(field="id")
        row = ActorRules(pk=id)
    before = rules_describe(row)
    if code is not None and method is not None:
        row.kind = kinds_of_codes([code]).get(code, row.kind if row.code == code else "")
        row.code, row.method, row.actor_version = code, method, actor_version
    fees_set(row, fees=fees)
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError:
        raise Conflict(
            gettext("this method has fee rules already: change those instead"), field="method"
        ) from None
    retry_after_rule_change()
    rules_audit(principal, action="rules.set", target=str(row), before=before, after=rules_describe(row))
    return row


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
        Receiver.objects.update_or_create(address=address, defaults={"kind": kind, "code": code})
    return kind, code


def method_read(text: str, *, kind: str) -> int:
    """Return a method's number, typed as its number or its name.  Raises BadValue."""
    if text.isascii() and text.isdigit() and len(text) <= METHOD_DIGITS:
        return int(text)
    for number, spec in ACTOR_METHODS.get(kind, {}).items():
        if spec.name.lower() == text.lower():
            return number
    if not kind:
        raise BadValue(gettext("choose the actor type, or enter the method's number"), field="method")
    raise BadValue(
        gettext("{kind} has no method {text!r}: enter a method name or number").format(kind=kind, text=text),
        field="method",
    )


@transaction.atomic
def method_rule_set(*, principal: Principal, code: str, method: int, fees: dict[str, Any]) -> ActorRules:
    """Make the rule of a method, or change it.

    Raises NotAllowed, and BadValue, BadMessage or Conflict naming the field.
    """
    if not principal.is_operator:
        raise NotAllowed(gettext("only the operator can change fee rules of methods"))
    if not any(fees.values()):
        raise BadValue(gettext("set at least one of the fields, or remove the rule"), field="max_fee")
    kind = kinds_of_codes([code]).get(code, "")
    found = MethodRules().of(method, code=code, kind=kind)
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
    before = rules_describe(row)
    row.delete()
    retry_after_rule_change()
    audit_record(principal=principal, action="rules.remove", target=str(row), before=before)
