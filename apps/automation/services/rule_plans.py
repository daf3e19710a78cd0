"""What a rule would do now: the balance that it watches, and its message's trial; nothing is stored."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from apps.automation.models import AutoAct, AutoRule
from apps.automation.reasons import (
    BALANCE_SHORT,
    FAILED_WITH,
    IN_PROGRESS,
    JUST_LANDED,
    MONEY_LIMIT,
    NOT_CARRIED_OUT,
    NOTHING_DUE,
    PAYS_OTHER,
)
from apps.automation.rules.specs import MoneySpec, amount_due, spec_read
from apps.automation.selectors.auto_rules import act_last, day_spent, rule_principal
from apps.automation.states import RuleKind
from apps.chain.errors import NodeRefused
from apps.chain.models import Head
from apps.chain.node.client import ChainClient
from apps.chain.node.tipsets import key_to_json
from apps.core.errors import Conflict
from apps.core.reasons import as_reason
from apps.market.selectors.deals import locks_flying_read, miner_of_provider, reserved_read
from apps.messages.models import Message
from apps.messages.rules.push_items import PushItem
from apps.messages.selectors.queue_costs import waiting_most
from apps.messages.services.dry_run import DryRun, message_dry_run
from apps.messages.services.selection import sender_chain_state_read
from apps.messages.services.signer_trials import run_refusal_find
from apps.messages.states import MessageState
from apps.miners.models import Miner
from apps.miners.selectors.miners import miners_of_addresses
from apps.miners.services.withdrawals import (
    WithdrawalRequest,
    funds_check,
    funds_read,
    withdrawal_plan,
)
from apps.sectors.reasons import WOULD_REFUSE_IT
from apps.users.rules.principals import SYSTEM
from poolsite.filecoin.actors.market import AddBalanceParams
from poolsite.filecoin.actors.market import Method as MarketMethod
from poolsite.filecoin.address import address_parse
from poolsite.filecoin.amounts import fil_format
from poolsite.filecoin.codec import to_cbor
from poolsite.filecoin.message import METHOD_SEND
from poolsite.wire.proposals import WITHDRAW_BALANCE

SETTLE_EPOCHS: Final = 10
"""After a rule's message has landed its balance is read this much later: a node may be behind."""
MARKET: Final = "f05"
OPEN: Final = (MessageState.UNFILLED, MessageState.FILLED)


@dataclass(frozen=True, slots=True, kw_only=True)
class RulePlan:
    """What a rule would do at this head."""

    number: int
    """Number of the act that would follow."""
    balance: int | None = None
    """attoFIL that it watches; None where it was not read."""
    spent: int = 0
    """attoFIL that it has moved today."""
    amount: int = 0
    """attoFIL that the message would move; 0: nothing is due."""
    item: PushItem | None = None
    """The message; None: nothing is pushed now."""
    run: DryRun | None = None
    why: str = ""
    """The reason why no message is pushed; else empty."""
    is_hindered: bool = False
    """Whether `why` needs a person."""
    must_stop: bool = False
    """Whether the rule switches itself off because of `why`."""
    miner: Miner | None = None
    """The miner from which it withdraws."""


@dataclass(frozen=True, slots=True)
class _Moment:
    """At which head, and with which node, a rule is looked at."""

    client: ChainClient
    head: Head
    now: datetime


def rule_plan(rule: AutoRule, *, client: ChainClient, head: Head, now: datetime) -> RulePlan:
    """Return what a rule would do at this head, whether it is on or off.

    Raises NodeUnavailable, NodeRefused, and what a push of its message would.
    """
    at, number = _Moment(client, head, now), rule.acts_begun
    spent = day_spent(rule, now=now)
    last = act_last(rule)
    if last is not None and (ended := _last_describe(last, head=head)) is not None:
        why, must_stop = ended
        return RulePlan(number=number, spent=spent, why=why, is_hindered=must_stop, must_stop=must_stop)
    spec = spec_read(rule.settings)
    miner = miners_of_addresses([spec.source]).get(spec.source) if rule.kind == RuleKind.SWEEP else None
    balance = _balance_read(rule.kind, spec, miner, at)
    due = amount_due(rule.kind, spec, balance=balance, arriving=_arriving(rule, spec))
    left = spec.day_max - spent
    amount = min(due, left)
    if not due:
        return RulePlan(number=number, balance=balance, spent=spent, why=NOTHING_DUE())
    if amount <= 0:
        why = MONEY_LIMIT(spent=fil_format(spent))
        return RulePlan(number=number, balance=balance, spent=spent, why=why, is_hindered=True)
    if miner is not None:
        item, run = _withdrawal(rule, spec, miner, amount=amount, at=at)
    else:
        item = _item(rule, spec, amount=amount)
        run = message_dry_run(item, principal=rule_principal(rule), client=client, head=head)
    why = _hindrance(run, method=WITHDRAW_BALANCE if miner is not None else "")
    return RulePlan(
        number=number,
        balance=balance,
        spent=spent,
        amount=amount,
        item=None if why else item,
        run=run,
        why=why,
        is_hindered=bool(why),
        miner=miner,
    )


def _push_id(rule: AutoRule) -> str:
    """Return the id of the next act's message: the same however often the act is tried."""
    return f"rule:{rule.uuid}:{rule.acts_begun}"


def _last_describe(last: AutoAct, *, head: Head) -> tuple[str, bool] | None:
    """Return why a rule's last message holds back the next, and whether it ends the rule; None if neither.

    A second push for the same need would be one that is made before the first is settled.
    """
    message = last.message
    if message is None:
        return None
    if message.state in OPEN:
        return IN_PROGRESS(), False
    if message.state != MessageState.LANDED:
        return NOT_CARRIED_OUT(id=message.push_id), True
    if message.exit_code:
        return FAILED_WITH(id=message.push_id, exit_code=message.exit_code), True
    if head.height < message.height + SETTLE_EPOCHS:
        return JUST_LANDED(epoch=message.height + SETTLE_EPOCHS), False
    return None


def _balance_read(kind: str, spec: MoneySpec, miner: Miner | None, at: _Moment) -> int:
    """Return what a rule watches, in attoFIL."""
    if miner is not None:
        return funds_read(miner, client=at.client, head=at.head).most
    if kind == RuleKind.SWEEP:
        state = sender_chain_state_read(spec.source, client=at.client, key=at.head.key)
        waiting = waiting_most(spec.source, fee_cap=int(at.head.base_fee), now=at.now)
        return max(state.free_balance - waiting, 0)
    try:
        if spec.is_escrow:
            found = at.client.call("StateMarketBalance", spec.target, key_to_json(at.head.key))
            owner = miner_of_provider(spec.target)
            # Messages in flight may be in the locked part already, while their rows say so a moment later.
            promised = reserved_read(owner) - locks_flying_read(owner) if owner else 0
            return int(found["Escrow"]) - int(found["Locked"]) - promised
        return int(at.client.state_get_actor(spec.target, at.head.key).balance)
    except NodeRefused as error:
        if error.is_missing_actor:
            return 0
        raise


def _arriving(rule: AutoRule, spec: MoneySpec) -> int:
    """Return the attoFIL that the tenant's messages in progress bring to what is topped up."""
    if rule.kind != RuleKind.TOP_UP:
        return 0
    rows = Message.objects.filter(tenant=rule.tenant_id, state__in=OPEN)
    if spec.is_escrow:
        rows = rows.filter(to=MARKET, method=MarketMethod.ADD_BALANCE, params=_escrow_params(spec))
    else:
        rows = rows.filter(to=spec.target)
    return sum(int(value) for value in rows.values_list("value", flat=True))


def _escrow_params(spec: MoneySpec) -> bytes:
    return to_cbor(AddBalanceParams(address_parse(spec.target)))


def _item(rule: AutoRule, spec: MoneySpec, *, amount: int) -> PushItem:
    """Return the message that moves an amount from a wallet."""
    return PushItem(
        id=_push_id(rule),
        to=MARKET if spec.is_escrow else spec.target,
        from_=spec.source,
        value=amount,
        method=MarketMethod.ADD_BALANCE if spec.is_escrow else METHOD_SEND,
        params=_escrow_params(spec) if spec.is_escrow else b"",
    )


def _withdrawal(
    rule: AutoRule, spec: MoneySpec, miner: Miner, *, amount: int, at: _Moment
) -> tuple[PushItem, DryRun]:
    """Return the message that withdraws from a miner.  Raises Conflict if another would receive it."""
    funds = funds_read(miner, client=at.client, head=at.head)
    funds_check(funds)
    if at.client.state_lookup_id(spec.target) != funds.receiver:
        raise Conflict(PAYS_OTHER(receiver=funds.receiver, target=spec.target), field="target")
    request = WithdrawalRequest(amount=amount, key=_push_id(rule))
    plan = withdrawal_plan(
        miner, request=request, principal=rule_principal(rule), client=at.client, head=at.head
    )
    return plan.item, plan.run


def _hindrance(run: DryRun, *, method: str) -> str:
    """Return why the message of a trial is not pushed; empty if it is."""
    if run.balance_after < 0:
        return BALANCE_SHORT(sender=str(run.message.from_), short=fil_format(-run.balance_after))
    if run.exit_code or run.error:
        return WOULD_REFUSE_IT(error=as_reason(run.error) or run.exit_code)
    return as_reason(run_refusal_find(run, by=SYSTEM, method=method))
