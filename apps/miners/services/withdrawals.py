"""Withdrawals of what a miner has earned: how much can go to whom now, what it costs, and pushing it.

Source: builtin-actors miner withdraw_balance; lotus-miner `actor withdraw`.
"""

from __future__ import annotations

from dataclasses import dataclass

from apps.chain.models import Head
from apps.chain.node.client import ChainClient
from apps.chain.node.tipsets import key_to_json
from apps.core.errors import BadValue, Conflict, NotAllowed
from apps.core.marked_texts import gettext
from apps.messages.errors import MessageIdTaken
from apps.messages.models import Message
from apps.messages.models.messages import WITHDRAWALS
from apps.messages.rules.push_items import PushItem, SendSpec
from apps.messages.services.dry_run import DryRun, message_dry_run
from apps.messages.services.signer_trials import run_refusal_find
from apps.miners.models import Miner
from apps.miners.selectors.address_messages import messages_open
from apps.miners.selectors.addresses import MinerAddresses, addresses_read
from apps.miners.selectors.miners import miner_principal
from apps.miners.selectors.multisigs import proposals_waiting
from apps.miners.selectors.proposals import act_read, proposals_open
from apps.miners.services.address_changes import NOT_ALLOWED, may_change
from apps.miners.services.multisig_senders import PROPOSE_METHOD, Outcome, act_plan, proposal_describe
from apps.miners.services.planned_push import planned_message_push, planned_push_lock
from apps.users.rules.principals import Principal
from apps.users.services.audit import audit_record
from poolsite.filecoin.actors.method import params_read
from poolsite.filecoin.actors.miner import Method
from poolsite.filecoin.actors.miner_control import WithdrawBalanceParams
from poolsite.filecoin.amounts import AttoFil, fil_format
from poolsite.filecoin.cbor import BadCbor
from poolsite.filecoin.codec import to_cbor
from poolsite.wire.proposals import WITHDRAW_BALANCE


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawalRequest:
    """What is to be withdrawn."""

    amount: int | None
    """attoFIL; None: everything that can be."""
    key: str
    """Names the request, so that a double click sends one message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawalFunds:
    """How much of a miner can go to whom at the head."""

    addresses: MinerAddresses
    available: int
    """attoFIL that the chain would pay out, fee debt subtracted; negative if that exceeds what it has."""
    in_progress: int
    """attoFIL that messages ask for that are not on chain yet, and proposals that wait for approvals."""
    proposed: int
    """attoFIL of these in proposals on chain."""
    height: int

    @property
    def receiver(self) -> str:
        """The beneficiary, which is the owner unless another was set; f0."""
        return self.addresses.beneficiary

    @property
    def has_term(self) -> bool:
        """Return whether the receiver is not the owner: a quota and an expiration hold then."""
        return self.receiver != self.addresses.owner

    @property
    def quota_left(self) -> int | None:
        """Return what the term still allows, in attoFIL; None without one."""
        return self.addresses.quota - self.addresses.used_quota if self.has_term else None

    @property
    def expire_epoch(self) -> int:
        """Last epoch in which the term still counts; 0 without one."""
        return self.addresses.expiration - 1 if self.has_term else 0

    @property
    def most(self) -> int:
        """Return what can be withdrawn now, beside what is in progress; never negative."""
        limit = self.available if self.quota_left is None else min(self.available, self.quota_left)
        return max(limit - self.in_progress, 0)


@dataclass(frozen=True, slots=True)
class WithdrawalPlan:
    """The message of a withdrawal, with what it would do and cost now."""

    item: PushItem
    run: DryRun
    amount: int
    """attoFIL."""
    funds: WithdrawalFunds
    proposal: Outcome | None = None
    """Result for the proposal, if the owner or beneficiary is a multisig."""

    @property
    def remains(self) -> int:
        """Return what stays available, in attoFIL."""
        return self.funds.available - self.funds.in_progress - self.amount

    def run_check(self) -> None:
        """Raise Conflict if the chain would refuse it now."""
        if self.run.exit_code:
            raise Conflict(
                gettext("the chain would refuse it: {error}").format(
                    error=self.run.error or self.run.exit_code
                )
            )
        if self.proposal is not None:
            self.proposal.check()


@dataclass(frozen=True, slots=True)
class SentWithdrawal:
    """The message of a withdrawal that was pushed."""

    message: Message
    plan: WithdrawalPlan | None
    """None: it was pushed before, under the same key."""


def funds_read(miner: Miner, *, client: ChainClient, head: Head) -> WithdrawalFunds:
    """Return what can be withdrawn.  Raises MinerNotReady, NodeRefused, NodeUnavailable."""
    addresses = addresses_read(miner, client=client)
    available = client.call("StateMinerAvailableBalance", miner.address, key_to_json(head.key))
    waiting = proposals_waiting(miner, addresses, methods=WITHDRAWALS, client=client, head=head)
    proposed = sum(_amount(one.params) for one in waiting)
    return WithdrawalFunds(
        addresses=addresses,
        available=int(available),
        in_progress=_in_progress_sum(miner) + proposed,
        proposed=proposed,
        height=head.height,
    )


def funds_check(funds: WithdrawalFunds) -> None:
    """Refuse what the chain would refuse or pay nothing for.  Raises Conflict naming the field."""
    if funds.has_term and funds.height >= funds.expire_epoch:
        raise Conflict(
            gettext(
                "the term of beneficiary {receiver} ends at epoch {expiration}: set it anew first"
            ).format(receiver=funds.receiver, expiration=funds.addresses.expiration),
            field="beneficiary",
        )
    if funds.quota_left is not None and funds.quota_left <= 0:
        raise Conflict(
            gettext("beneficiary {receiver} has used its quota of {quota}: set it anew first").format(
                receiver=funds.receiver, quota=fil_format(funds.addresses.quota)
            ),
            field="beneficiary",
        )
    if funds.available < 0:
        raise Conflict(
            gettext("fee debt is paid first, and the miner lacks {short} for it: send it that much").format(
                short=fil_format(-funds.available)
            ),
            field="amount",
        )
    if not funds.most:
        raise Conflict(
            gettext("nothing is available beside the {in_progress} in progress").format(
                in_progress=fil_format(funds.in_progress)
            )
            if funds.in_progress
            else gettext("nothing is available to withdraw"),
            field="amount",
        )


def withdrawal_plan(
    miner: Miner, *, request: WithdrawalRequest, principal: Principal, client: ChainClient, head: Head
) -> WithdrawalPlan:
    """Return the message of a withdrawal and what it would cost; nothing is stored.

    Raises NotAllowed, BadValue and Conflict naming the field, NodeRefused, NodeUnavailable, and what a push
    would raise.
    """
    if not may_change(principal, miner=miner):
        raise NotAllowed(NOT_ALLOWED)
    if request.amount is not None and request.amount <= 0:
        raise BadValue(gettext("must be above 0"), field="amount")
    funds = funds_read(miner, client=client, head=head)
    funds_check(funds)
    amount = funds.most if request.amount is None else request.amount
    if amount > funds.most:
        raise BadValue(
            gettext("at most {most} can be withdrawn now; the chain would pay less without an error").format(
                most=fil_format(funds.most)
            ),
            field="amount",
        )
    item = PushItem(
        id=_push_id(miner, request),
        to=miner.address,
        from_="",
        method=Method.WITHDRAW_BALANCE,
        params=to_cbor(WithdrawBalanceParams(AttoFil(amount))),
        kind="withdrawal",
        spec=SendSpec(expire_epoch=funds.expire_epoch),
    )
    actors = (funds.addresses.owner, funds.addresses.beneficiary)
    sent = act_plan(item, actors=actors, tenant_id=miner.tenant_id, client=client, head=head)
    if sent.item is None:
        raise Conflict(
            gettext(
                "the owner or the beneficiary sends it, and no signer of the miner's tenant holds {keys}"
            ).format(keys=", ".join(sent.keys)),
            field="sender",
        )
    run = message_dry_run(sent.item, principal=miner_principal(miner), client=client, head=head)
    return WithdrawalPlan(sent.item, run, amount, funds, sent.outcome)


def signer_refusal_read(plan: WithdrawalPlan, *, by: Principal) -> str:
    """Return why the sender's signer would not sign the message; empty if it would."""
    method = WITHDRAW_BALANCE if plan.proposal is None else PROPOSE_METHOD
    return run_refusal_find(plan.run, by=by, method=method)


def withdrawal_push(
    miner: Miner, *, request: WithdrawalRequest, principal: Principal, client: ChainClient, head: Head
) -> SentWithdrawal:
    """Push a withdrawal's message; the same key again is the same message, on chain or not.

    Raises what `withdrawal_plan` raises, Conflict if the chain would refuse it now or another was requested
    meanwhile, and MessageIdTaken for a key that named another amount.
    """
    if not may_change(principal, miner=miner):
        raise NotAllowed(NOT_ALLOWED)
    if (sent := _sent_before(miner, request)) is not None:
        return sent
    plan = withdrawal_plan(miner, request=request, principal=principal, client=client, head=head)
    plan.run_check()
    item = plan.item
    with planned_push_lock(miner, to=str(item.to)):
        if (sent := _sent_before(miner, request)) is not None:
            return sent
        if _in_progress_sum(miner) + plan.funds.proposed > plan.funds.in_progress:
            raise Conflict(
                gettext("another withdrawal was requested in the meantime: check the amount and try again"),
                field="amount",
            )
        message = planned_message_push(miner, item=item, by=principal)
        audit_record(
            principal=principal,
            action="miner.withdraw",
            target=miner.address,
            after={
                "amount": fil_format(plan.amount),
                "receiver": plan.funds.receiver,
                "sender": str(item.from_),
                "message": str(message.pk),
                **proposal_describe(plan.proposal),
            },
        )
    return SentWithdrawal(message, plan)


def _sent_before(miner: Miner, request: WithdrawalRequest) -> SentWithdrawal | None:
    """Return what was pushed under this key, if anything.  Raises MessageIdTaken for another amount."""
    earlier = Message.objects.filter(tenant_id=miner.tenant_id, push_id=_push_id(miner, request)).first()
    if earlier is None:
        return None
    if request.amount not in (None, amount_read(earlier)):
        raise MessageIdTaken(gettext("this key was already used for a different withdrawal"), field="key")
    return SentWithdrawal(earlier, None)


def _in_progress_sum(miner: Miner) -> int:
    """Return what a miner's withdrawals ask for that are not on chain yet, in attoFIL."""
    sent = sum(_amount(bytes(row.params)) for row in messages_open(miner, WITHDRAWALS))
    return sent + sum(_amount(act.params) for _, act in proposals_open(miner, WITHDRAWALS))


def amount_read(message: Message) -> int:
    """Return what a withdrawal's message asks for, in attoFIL; 0 if its parameters cannot be read."""
    return _amount(act_read(message).params)


def _amount(params: bytes) -> int:
    try:
        return int(params_read(WithdrawBalanceParams, params).amount_requested)
    except (BadCbor, ValueError):
        return 0


def _push_id(miner: Miner, request: WithdrawalRequest) -> str:
    return f"withdrawal:{miner.uuid}:{request.key}"
