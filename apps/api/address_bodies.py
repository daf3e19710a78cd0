"""A miner's addresses and their changes as REST and JSON-RPC show them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from apps.messages.selectors.approvals import approval_rule_of
from apps.messages.services.dry_run import DryRun
from apps.messages.services.signer_trials import run_refusal_find
from apps.messages.states import MessageState
from apps.miners.selectors.address_messages import AddressMessage, address_change_describe
from apps.miners.selectors.addresses import MinerAddresses
from apps.miners.selectors.deal_reach import addresses_reach
from apps.miners.services.address_changes import ChangePlan, SentChange
from apps.miners.services.multisig_senders import PROPOSE_METHOD, Outcome
from apps.users.rules.principals import SYSTEM

if TYPE_CHECKING:
    from apps.messages.models import Message


def addresses_body(now: MinerAddresses, on_the_way: Sequence[AddressMessage]) -> dict[str, Any]:
    """Return a miner's addresses, what is pending, and the messages that would change them, as JSON."""
    change = now.pending_beneficiary
    return {
        "owner": now.owner,
        "worker": now.worker,
        "control": list(now.control),
        "beneficiary": now.beneficiary,
        "quota": str(now.quota),
        "used_quota": str(now.used_quota),
        "expiration": now.expiration,
        "new_worker": now.new_worker or None,
        "worker_epoch": now.worker_epoch if now.new_worker else None,
        "pending_owner": now.pending_owner or None,
        "pending_beneficiary": None
        if change is None
        else {
            "address": change.address,
            "quota": str(change.quota),
            "expiration": change.expiration,
            "by_beneficiary": change.by_beneficiary,
            "by_nominee": change.by_nominee,
        },
        "peer_id": now.peer_id or None,
        "multiaddrs": list(now.multiaddrs),
        "on_the_way": [
            {"message": str(one.message.pk), "state": one.message.state, "says": one.says}
            for one in on_the_way
        ],
    }


def reach_body(now: MinerAddresses) -> dict[str, Any]:
    """Look whether clients reach the node that takes a miner's deals, and write what came of it."""
    found = addresses_reach(now.multiaddrs)
    return {
        "peer_id": now.peer_id or None,
        "results": [{"address": one.address, "state": str(one.state), "says": one.says} for one in found],
    }


def price_body(run: DryRun) -> dict[str, Any]:
    """Return what a message would do and cost, as JSON."""
    return {
        "exit_code": run.exit_code,
        "error": run.error,
        "cost_expected": str(run.cost_expected),
        "cost_max": str(run.cost_max),
        "approval": run.approval,
    }


def proposal_body(outcome: Outcome | None) -> dict[str, Any] | None:
    """Return how a multisig's act goes on, as JSON; None where no multisig acts."""
    if outcome is None:
        return None
    return {
        "multisig": outcome.multisig,
        "approvals": outcome.approvals,
        "threshold": outcome.threshold,
        "is_executed": outcome.is_executed,
        "exit_code": outcome.exit_code,
        "error": outcome.error,
    }


def sent_body(sent: SentChange) -> dict[str, Any]:
    """Return a change that was pushed, as JSON; with what it cost once it has landed."""
    if sent.plan is not None:
        return {"message": str(sent.message.pk), **plan_body(sent.plan)}
    row = sent.message
    return {
        "message": str(row.pk),
        "says": address_change_describe(row),
        "sender": str(row.from_addr),
        "method": int(row.method),
        "proposal": None,
        **spent_body(row),
    }


def spent_body(row: Message) -> dict[str, Any]:
    """Return what a message that was pushed before did, and cost once it has landed, as JSON."""
    return {
        "exit_code": max(row.exit_code, 0),
        "error": row.error,
        "cost_expected": str(row.value + (row.gas_cost if row.state == MessageState.LANDED else 0)),
        "cost_max": str(row.value + row.gas_limit * row.gas_fee_cap),
        "approval": approval_rule_of(row),
    }


def priced_body(plan: ChangePlan) -> dict[str, Any]:
    """Return a change that is not sent, with its price and why the signer would not sign it, as JSON."""
    refusal = run_refusal_find(plan.run, by=SYSTEM, method=PROPOSE_METHOD if plan.proposal else "")
    return {"message": None, **plan_body(plan), "signer": refusal}


def plan_body(plan: ChangePlan) -> dict[str, Any]:
    """Return a change with its price as JSON."""
    return {
        "says": plan.says,
        "sender": str(plan.item.from_),
        "method": int(plan.item.method),
        "proposal": proposal_body(plan.proposal),
        **price_body(plan.run),
    }
