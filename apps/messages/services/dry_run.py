"""What a message would do and cost if it were sent now; nothing is stored or signed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from apps.chain.models import Head
from apps.chain.node.client import ChainClient
from apps.core import clock
from apps.messages.models import Message, Sender
from apps.messages.rules.push_items import PushItem
from apps.messages.selectors.approval_choice import approval_need_describe
from apps.messages.selectors.fees import actor_rules_find, fee_choose, shared_rules_load
from apps.messages.selectors.push_facts import PushFacts, push_facts
from apps.messages.selectors.queue_costs import waiting_most
from apps.messages.services.receiver_lookup import receiver_kinds_resolve
from apps.messages.services.selection import sender_chain_state_read
from apps.messages.services.spend import gas_cost_compute
from apps.messages.services.validate import message_validate, use_check
from apps.users.rules.principals import Principal
from poolsite.filecoin.amounts import AttoFil
from poolsite.filecoin.gas import BLOCK_GAS_LIMIT
from poolsite.filecoin.gas_estimates import unsigned_inclusion_gas
from poolsite.filecoin.message import METHOD_SEND, Receipt
from poolsite.filecoin.message import Message as ChainMessage

RUN_GAS_DEFAULT = BLOCK_GAS_LIMIT
"""Gas that the trial run may use: a whole block's, so that it ends by itself."""


@dataclass(frozen=True, slots=True)
class DryRun:
    """The outcome of a trial."""

    message: ChainMessage
    """As a push would make it, with the gas that would be signed."""
    exit_code: int
    error: str
    """The node's text if it fails."""
    gas_used: int
    """With its inclusion, which a trial leaves out."""
    gas_limit: int
    """What would be signed; 0 if it fails."""
    gas_fee_cap: int
    gas_premium: int
    cost_expected: int
    """attoFIL: base fee for this gas, premium for the limit, and the value."""
    cost_max: int
    """attoFIL: the whole limit at the fee cap, and the value."""
    balance: int
    in_flight: int
    """attoFIL that messages in flight may still take."""
    waiting: int
    """attoFIL that messages of the sender without a nonce may take: values, and gas at its dearest."""
    approval: str = ""
    """The rule by which it would wait for a second person; empty: none."""

    @property
    def balance_after(self) -> int:
        """Return the balance less the most that it and all in progress cost; below 0: too little."""
        return self.balance - self.in_flight - self.waiting - self.cost_max

    @property
    def is_short(self) -> bool:
        """Return whether the balance does not cover it and what is in flight."""
        return self.balance - self.in_flight < self.cost_max


def message_dry_run(item: PushItem, *, principal: Principal, client: ChainClient, head: Head) -> DryRun:
    """Run a message on the newest state.

    Raises what a push would: BadMessage, SenderNotGranted, ReceiverNotGranted, SenderStopped;
    NodeUnavailable if no node answers.
    """
    row = message_validate(item, principal=principal)
    facts = push_facts(senders={row.from_addr}, receivers=_receivers(row))
    use_check(row, facts=facts, principal=principal)
    approval = _approval_need(row, facts=facts)
    chain_state = sender_chain_state_read(row.from_addr, client=client, key=head.key)
    sender = Sender.objects.filter(address=row.from_addr).first() or Sender(address=row.from_addr)
    rule = actor_rules_find([row], client=client, key=head.key).get((row.to, row.method))
    choice = fee_choose(row, sender=sender, actor=rule, shared=shared_rules_load())
    nonce = max(sender.next_nonce, chain_state.pool_nonce)
    message = replace(row.chain_message(), nonce=nonce, gas_fee_cap=AttoFil(choice.gas_fee_cap))
    free: dict[str, Any] = {
        "gas_limit": RUN_GAS_DEFAULT,
        "gas_fee_cap": AttoFil(0),
        "gas_premium": AttoFil(0),
    }
    trial: dict[str, Any] = client.state_call(
        replace(message, nonce=chain_state.chain_nonce, **free), head.key
    )
    receipt = trial.get("MsgRct") or {}
    exit_code = int(receipt.get("ExitCode", -1))
    reason = str(trial.get("Error") or "")
    estimate = client.gas_batch_estimate([(message, choice.spec)], nonce=nonce, key=head.key)[0]
    found = estimate.message
    gas_used = int(receipt.get("GasUsed", 0)) + unsigned_inclusion_gas(found or message) if receipt else 0
    flight = sum(one.cost for one in chain_state.flight)
    if found is None:
        return DryRun(
            *(message, exit_code, reason or estimate.error, gas_used),
            *(0, 0, 0, 0, row.value),
            balance=chain_state.balance,
            in_flight=flight,
            waiting=waiting_most(row.from_addr, fee_cap=int(head.base_fee), now=clock.now()),
            approval=approval,
        )
    landed = Receipt(exit_code=exit_code, return_=b"", gas_used=gas_used)
    return DryRun(
        message=found,
        exit_code=exit_code,
        error=reason,
        gas_used=gas_used,
        gas_limit=found.gas_limit,
        gas_fee_cap=found.gas_fee_cap,
        gas_premium=found.gas_premium,
        cost_expected=gas_cost_compute(found, receipt=landed, base_fee=int(head.base_fee)) + row.value,
        cost_max=found.gas_limit * found.gas_fee_cap + row.value,
        balance=chain_state.balance,
        in_flight=flight,
        waiting=waiting_most(row.from_addr, fee_cap=found.gas_fee_cap, now=clock.now()),
        approval=approval,
    )


def message_approval_read(item: PushItem, *, principal: Principal) -> str:
    """Return the rule by which a message would wait for a second person; empty: it would not.

    A node is asked what the receiver is, where that is not known.  Raises BadMessage as a push does.
    """
    row = message_validate(item, principal=principal)
    return _approval_need(row, facts=push_facts(senders=(), receivers=_receivers(row)))


def _receivers(row: Message) -> set[str]:
    """Return the receiver whose kind decides; a transfer is one whoever receives it."""
    return set() if row.method == METHOD_SEND else {row.to}


def _approval_need(row: Message, *, facts: PushFacts) -> str:
    if not facts.rules:
        return ""
    kinds = receiver_kinds_resolve(_receivers(row), known=facts.receivers)
    return approval_need_describe(row, rules=facts.rules, receiver=kinds.get(row.to, ""))
