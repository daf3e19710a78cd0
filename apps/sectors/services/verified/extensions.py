"""Extending the terms of verified claims: the message, with what it does and costs, and pushing it.

A claim's own client extends it without DataCap, to what the longest term would have been; beyond that, and
for claims of others, DataCap of the claim's size is spent.  Source: builtin-actors actors/verifreg/src/lib.rs
extend_claim_terms, validate_claim_extension, universal_receiver_hook; lotus cli/filplus.go extend-claim.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db import transaction
from django.utils.translation import gettext_lazy

from apps.chain.errors import NodeRefused
from apps.chain.models import Head
from apps.chain.node.client import ChainClient
from apps.chain.node.tipsets import key_to_json
from apps.core.errors import BadValue, Conflict, NotAllowed
from apps.core.formatting import joined_size
from apps.core.locks import transaction_lock
from apps.core.marked_texts import gettext
from apps.messages.errors import MessageIdTaken
from apps.messages.models import Message
from apps.messages.rules.push_items import PushItem
from apps.messages.selectors.receivers import receiver_kinds
from apps.messages.services.dry_run import DryRun, message_dry_run
from apps.messages.services.push import message_push
from apps.messages.services.receiver_lookup import receiver_kinds_resolve
from apps.messages.services.signer_trials import run_refusal_find
from apps.messages.states import MessageState
from apps.sectors.errors.verified import ClaimUnknown
from apps.sectors.models import VerifiedClaim
from apps.sectors.selectors.claims import claims_visible
from apps.users.rules.principals import Principal
from apps.users.services.audit import audit_record
from apps.users.states import Perm
from apps.wallets.selectors import wallet_get
from poolsite.filecoin.actors import datacap, verifreg
from poolsite.filecoin.actors.allocations import (
    DATACAP_PER_BYTE,
    AllocationRequests,
    ClaimExtensionRequest,
)
from poolsite.filecoin.actors.claims import CLAIM_TERM_MAX, ClaimTerm, ExtendClaimTermsParams
from poolsite.filecoin.actors.method import params_read
from poolsite.filecoin.address import DATACAP_ACTOR, VERIFREG_ACTOR
from poolsite.filecoin.codec import from_cbor, to_cbor

CLAIMS_MAX: Final = 200
"""Claims of one message."""
PUSH_PREFIX: Final = "extend-claims:"
"""How the ids of these messages begin."""
EXTENSION_LOCK: Final = 0x4558
"""Class of the lock under which an extension is pushed."""
IN_PROGRESS: Final = gettext_lazy("claim {claim} is being extended: wait until that message has landed")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtensionRequest:
    """Which claims are to last longer."""

    claims: tuple[int, ...]
    """Ids in the registry."""
    sender: str
    """The address of ours that sends it: the claims' client, or whose DataCap is spent."""
    end_epoch: int | None
    """None: as late as the chain takes it."""
    spends_data_cap: bool
    key: str
    """Names the request, so that a double click sends one message."""

    @property
    def push_id(self) -> str:
        """Return the message's id."""
        return f"{PUSH_PREFIX}{self.key}"


@dataclass(frozen=True, slots=True)
class ClaimExtension:
    """A claim with its end before and after, and why it would not be extended."""

    row: VerifiedClaim
    size: int
    """Padded bytes, as the chain says."""
    old_end: int
    new_end: int
    term_max: int
    """Epochs since its start: what the message says."""
    refusal: str = ""
    """Why the chain would not extend it; empty if it would."""


@dataclass(frozen=True, slots=True)
class ExtensionPlan:
    """The message of an extension, with what it would do and cost now."""

    claims: tuple[ClaimExtension, ...]
    item: PushItem
    run: DryRun
    data_cap_left: int
    """Bytes that the sender has; 0 where none is spent."""

    @property
    def accepted(self) -> list[ClaimExtension]:
        """Return the claims that are extended."""
        return [one for one in self.claims if not one.refusal]

    @property
    def refused(self) -> list[ClaimExtension]:
        """Return the others."""
        return [one for one in self.claims if one.refusal]

    @property
    def data_cap(self) -> int:
        """Return the bytes of DataCap that it spends."""
        return sum(one.size for one in self.accepted) if self.item.to == str(DATACAP_ACTOR) else 0

    def run_check(self) -> None:
        """Raise Conflict if the chain would refuse it now."""
        if self.run.exit_code:
            raise Conflict(
                gettext("the chain would refuse it: {error}").format(
                    error=self.run.error or self.run.exit_code
                )
            )


def extension_plan(
    request: ExtensionRequest, *, by: Principal, client: ChainClient, head: Head
) -> ExtensionPlan:
    """Return the message that extends what of these claims the chain would extend, and its price.

    Raises BadValue, ClaimUnknown, Conflict if it would extend none or the DataCap does not suffice, and what
    a push would; NodeRefused, NodeUnavailable.
    """
    rows = _claims_get(request.claims, by=by)
    wallet = wallet_get(by, request.sender)
    if wallet.actor_id is None:
        raise BadValue(gettext("the chain does not know this address yet"), field="sender")
    client_id, busy = wallet.actor_id, _claims_in_progress()
    found = tuple(
        _extension_of(row, facts, request=request, client_id=client_id, height=head.height, busy=busy)
        for row, facts in zip(rows, _claims_read(rows, client=client, key=head.key), strict=True)
    )
    accepted = [one for one in found if not one.refusal]
    if not accepted:
        raise Conflict(found[0].refusal, field="claims")
    left = 0
    if request.spends_data_cap:
        status = client.call("StateVerifiedClientStatus", f"f0{client_id}", key_to_json(head.key))
        left, needed = int(status or 0), sum(one.size for one in accepted)
        if left < needed:
            raise Conflict(
                gettext("{sender} has {left} of DataCap, and {needed} would be spent").format(
                    sender=request.sender, left=joined_size(left), needed=joined_size(needed)
                ),
                field="sender",
            )
    item = extension_item_build(accepted, request=request)
    run = message_dry_run(item, principal=by, client=client, head=head)
    return ExtensionPlan(found, item, run, left)


def _claims_get(numbers: Sequence[int], *, by: Principal) -> list[VerifiedClaim]:
    """Return the named claims in the order of their ends.  Raises BadValue, ClaimUnknown."""
    wanted = set(numbers)
    if not wanted:
        raise BadValue(gettext("name the claims to extend"), field="claims")
    if len(wanted) > CLAIMS_MAX:
        raise BadValue(gettext("at most {most} claims at a time").format(most=CLAIMS_MAX), field="claims")
    rows = list(claims_visible(by).filter(number__in=wanted))
    for number in sorted(wanted - {row.number for row in rows}):
        raise ClaimUnknown(number)
    return rows


def _claims_in_progress() -> set[int]:
    """Return the claims that a message of ours extends which has not landed: twice costs DataCap twice."""
    rows = Message.objects.filter(
        to__in=[str(VERIFREG_ACTOR), str(DATACAP_ACTOR)],
        state__in=[MessageState.UNFILLED, MessageState.FILLED],
        push_id__startswith=PUSH_PREFIX,
    )
    return {number for row in rows for number in _claims_of(row)}


def _claims_of(message: Message) -> list[int]:
    """Return the claims that a message of an extension names."""
    params = bytes(message.params)
    if message.to == str(VERIFREG_ACTOR):
        return [term.claim_id for term in params_read(ExtendClaimTermsParams, params).terms]
    transfer = params_read(datacap.TransferParams, params)
    return [one.claim for one in from_cbor(AllocationRequests, transfer.operator_data).extensions]


def _claims_read(rows: Sequence[VerifiedClaim], *, client: ChainClient, key: str) -> list[Any]:
    """Return what the chain says of claims now: rows are as of the last read.  Raises NodeRefused."""
    tipset = key_to_json(key)
    answers = client.call_many([("StateGetClaim", [row.miner.address, row.number, tipset]) for row in rows])
    for answer in answers:
        if isinstance(answer, NodeRefused):
            raise answer
    return answers


def _extension_of(
    row: VerifiedClaim,
    facts: Any,
    *,
    request: ExtensionRequest,
    client_id: int,
    height: int,
    busy: Collection[int],
) -> ClaimExtension:
    """Return what becomes of a claim, or why nothing does."""
    if facts is None:
        refusal = gettext("claim {claim} is not on the chain any more").format(claim=row.number)
        return ClaimExtension(row, row.size, row.end_epoch, row.end_epoch, 0, refusal)
    start, old_term = int(facts["TermStart"]), int(facts["TermMax"])
    limit = CLAIM_TERM_MAX + (height - start if request.spends_data_cap else 0)
    term = limit if request.end_epoch is None else request.end_epoch - start
    old_end = start + old_term
    refusal = ""
    if row.number in busy:
        refusal = IN_PROGRESS.format(claim=row.number)
    elif not request.spends_data_cap and int(facts["Client"]) != client_id:
        refusal = gettext(
            "claim {claim} is of client f0{client}: only that client extends it without spending DataCap"
        ).format(claim=row.number, client=facts["Client"])
    elif request.spends_data_cap and height > old_end:
        refusal = gettext("claim {claim} ended at epoch {epoch}").format(claim=row.number, epoch=old_end)
    elif term > limit:
        refusal = gettext("claim {claim} can last until epoch {epoch} at most").format(
            claim=row.number, epoch=start + limit
        )
    elif term <= old_term:
        refusal = gettext("claim {claim} lasts until epoch {epoch} already").format(
            claim=row.number, epoch=old_end
        )
    return ClaimExtension(row, int(facts["Size"]), old_end, start + term, term, refusal)


def extension_item_build(claims: Sequence[ClaimExtension], *, request: ExtensionRequest) -> PushItem:
    """Return the message; of the claims' own client, or a transfer of DataCap to the registry."""
    providers = [(one.row.miner.actor_id or 0, one.row.number, one.term_max) for one in claims]
    if not request.spends_data_cap:
        terms = ExtendClaimTermsParams(tuple(ClaimTerm(*of_one) for of_one in providers))
        return PushItem(
            id=request.push_id,
            to=str(VERIFREG_ACTOR),
            from_=request.sender,
            method=verifreg.Method.EXTEND_CLAIM_TERMS,
            params=to_cbor(terms),
        )
    extensions = tuple(ClaimExtensionRequest(*of_one) for of_one in providers)
    transfer = datacap.TransferParams(
        to=VERIFREG_ACTOR,
        amount=sum(one.size for one in claims) * DATACAP_PER_BYTE,
        operator_data=to_cbor(AllocationRequests((), extensions)),
    )
    return PushItem(
        id=request.push_id,
        to=str(DATACAP_ACTOR),
        from_=request.sender,
        method=datacap.Method.TRANSFER_EXPORTED,
        params=to_cbor(transfer),
    )


def extension_refusal_read(plan: ExtensionPlan, *, by: Principal) -> str:
    """Return why the sender's signer would not sign the message; empty if it would."""
    return run_refusal_find(plan.run, by=by)


def extension_push(
    request: ExtensionRequest, *, by: Principal, client: ChainClient, head: Head
) -> tuple[Message, ExtensionPlan | None]:
    """Push an extension's message; the same key again is the same message, without a plan.

    All claims must still be extended as they were reviewed.  Raises what `extension_plan` does, NotAllowed,
    Conflict.
    """
    if not by.may(Perm.SIGN):
        raise NotAllowed(gettext("extending claims requires the level 'sign'"))
    if (sent := _sent_before(request, by=by)) is not None:
        return sent, None
    plan = extension_plan(request, by=by, client=client, head=head)
    plan.run_check()
    if plan.refused:
        raise Conflict(plan.refused[0].refusal, field="claims")
    to = str(plan.item.to)
    # A push asks a node for a kind that is not known yet, and no transaction waits for the network.
    receiver_kinds_resolve([to], known=receiver_kinds([to]))
    with transaction.atomic():
        transaction_lock(EXTENSION_LOCK, ["claims"])
        if busy := {one.row.number for one in plan.accepted} & _claims_in_progress():
            if (sent := _sent_before(request, by=by)) is not None:
                return sent, None
            raise Conflict(IN_PROGRESS.format(claim=min(busy)), field="claims")
        message = message_push(
            principal=by,
            id=plan.item.id,
            to=plan.item.to,
            from_=plan.item.from_,
            method=plan.item.method,
            params=plan.item.params,
        )
        audit_record(
            principal=by,
            action="claims.extend",
            target=request.sender,
            after={
                "claims": " ".join(f"{one.row.miner.address}/{one.row.number}" for one in plan.accepted)[
                    :500
                ],
                "until": gettext("epoch {epoch}").format(epoch=max(one.new_end for one in plan.accepted)),
                "data_cap": joined_size(plan.data_cap),
                "message": str(message.pk),
            },
        )
    return message, plan


def _sent_before(request: ExtensionRequest, *, by: Principal) -> Message | None:
    """Return what was pushed under this key, if anything.  Raises MessageIdTaken for other claims."""
    sent = Message.objects.filter(tenant_id=by.own_id, push_id=request.push_id).first()
    if sent is not None and set(_claims_of(sent)) != set(request.claims):
        raise MessageIdTaken(gettext("this key was already used for other claims"), field="key")
    return sent
