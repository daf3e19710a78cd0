"""Fee rules for one method of one kind of actor, named by an address of that kind."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from django.db import transaction

from apps.chain.errors import NodeRefused
from apps.core.errors import BadValue, NotAllowed, NotFound
from apps.messages.models import ActorRules, Receiver
from apps.messages.selectors.receivers import kind_from_address
from apps.messages.services.backoff import retry_after_rule_change
from apps.messages.services.receivers import receiver_kinds_resolve
from apps.messages.services.senders import actor_rules_set
from apps.users.services import audit_record
from poolsite.filecoin.actors.decode import ACTOR_METHODS
from poolsite.filecoin.address import BadAddress, address_parse

if TYPE_CHECKING:
    from apps.chain.client import ChainClient
    from apps.users.principals import Principal

METHOD_DIGITS = 18


def receiver_read(text: str, *, client: ChainClient) -> tuple[str, str]:
    """Return kind and code of the actor at an address.  Raises BadValue, NodeUnavailable."""
    try:
        address = str(address_parse(text))
        code = str(client.state_get_actor(address).code)
    except BadAddress:
        raise BadValue("write an address of the kind that is meant, such as a miner's", field="to") from None
    except NodeRefused as refusal:
        raise BadValue(f"the chain has no actor there: {refusal.reason}", field="to") from None
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
        f"{kind or 'this kind of actor'} has no method {text!r}: write its name or number", field="method"
    )


@transaction.atomic
def method_rule_set(*, principal: Principal, code: str, method: int, fees: dict[str, Any]) -> ActorRules:
    """Make the rule of a method, or change it.  Raises NotAllowed, BadValue, BadMessage naming the field."""
    if not principal.is_operator:
        raise NotAllowed("fee rules of methods are the operator's")
    if not any(fees.values()):
        raise BadValue("set at least one of the fields, or remove the rule", field="max_fee")
    found = ActorRules.objects.filter(code=code, method=method).first()
    pk = uuid.uuid4() if found is None else found.pk
    return actor_rules_set(principal=principal, id=pk, fees=fees, code=code, method=method)


@transaction.atomic
def method_rule_remove(*, principal: Principal, key: uuid.UUID) -> None:
    """Remove a rule: the pool's own hold again.  Raises NotAllowed, NotFound."""
    if not principal.is_operator:
        raise NotAllowed("fee rules of methods are the operator's")
    row = ActorRules.objects.select_for_update().filter(pk=key).first()
    if row is None:
        raise NotFound("there is no such rule")
    before = {"max_fee": str(row.max_fee), "gas_fee_cap": str(row.gas_fee_cap), "base_fee": str(row.base_fee)}
    audit_record(principal=principal, action="rules.remove", target=str(row), before=before)
    row.delete()
    retry_after_rule_change()
