"""Nonces and signatures for what a sender's selection chose.

A signer of ours refuses a second nonce for a message that it signed before: a selection of a process that
died, or one that this database has forgotten.  Such a message keeps the nonce that it was signed with, or
lands where the chain has it, or waits until that nonce is used by another message for good.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from apps.chain.node.client import ChainClient
from apps.core.errors import DomainError
from apps.core.reasons import Reason, refused
from apps.gateway.errors import SignedBefore, SignerAway
from apps.messages.models import Message
from apps.messages.reasons import (
    RIVAL,
    RIVAL_IN_HEAD,
    RIVAL_IN_POOL,
    SIGN_FAILED,
    SIGNED_NONCE_HELD,
    SIGNED_NONCE_USED,
    SIGNED_OTHERWISE,
)
from apps.messages.services.recovery.chain_history import History
from apps.messages.services.recovery.pool_name import pool_name_get
from apps.messages.services.selection import Ready, Selection, SelectionId, free_nonces_generate
from apps.messages.states import MessageState, Wait
from apps.wallets.services.sign import messages_sign
from poolsite.filecoin.address import BLS
from poolsite.filecoin.message import Message as ChainMessage
from poolsite.filecoin.message import SignedMessage
from poolsite.filecoin.signature import Signature
from poolsite.filecoin.sigtypes import SIG_BLS, SIG_SECP256K1
from poolsite.wire.origins import Origin

SIGN_STEPS: Final = 4
"""A refused signature shifts the nonces behind it; those are signed again at most this often."""

DEAD_EPOCHS: Final = 20
"""A nonce that another message used so far below the head is not used by this one any more: five minutes
and more than what nodes call final by F3, and a proof still makes its deadline."""


@dataclass(slots=True)
class PendingSignature:
    """A message on its way to a signature."""

    ready: Ready
    signed: SignedMessage | None = None
    is_left_out: bool = False
    """Its signer refuses it, or cannot sign it now: this selection goes on without it."""
    is_retried: bool = False
    """Its nonce was found out to be another one; so those around it may be others."""

    @property
    def id(self) -> str:
        """The message's id."""
        return str(self.ready.row.pk)


def origin_build(
    row: Message, *, selection_id: SelectionId | None = None, dead: tuple[int, ...] = ()
) -> Origin:
    """Return what tells a signer which message this is."""
    return Origin(
        pool=pool_name_get(),
        id=row.push_id,
        account="" if row.tenant is None else row.tenant.name,
        kind=row.kind,
        selection="" if selection_id is None else selection_id.id,
        step=0 if selection_id is None else selection_id.step,
        dead=dead,
    )


def selection_sign(
    selection: Selection,
    *,
    ready: Sequence[Ready],
    signed: dict[str, tuple[Ready, SignedMessage]],
    client: ChainClient,
) -> set[str]:
    """Assign nonces in order and have them signed, after those in `signed`, which are the first of them.

    Adds to `signed` what comes before the first refusal: those behind it get other nonces.  Notes why a
    message is refused, and returns the ids of those.
    """
    used = {message.message.nonce for _, message in signed.values()}
    pending = [PendingSignature(item) for item in ready[len(signed) :]]
    plan: dict[str, ChainMessage] = {}
    for _ in range(SIGN_STEPS):
        rest = [one for one in pending if not one.is_left_out]
        plan = dict(zip((one.id for one in rest), _planned(selection, rest, used), strict=True))
        wrong = [one for one in rest if one.signed is None or one.signed.message != plan[one.id]]
        answers = _sign(selection, [(one, plan[one.id]) for one in wrong])
        for one, answer in zip(wrong, answers, strict=True):
            _answer_store(selection, one, answer, client=client)
        if not any(one.is_retried for one in wrong):
            break
    for one in pending:
        if one.signed is None or one.signed.message != plan.get(one.id):
            break
        signed[one.id] = (Ready(one.ready.row, one.signed.message), one.signed)
    return {one.id for one in pending if one.is_left_out}


def _planned(selection: Selection, rest: Sequence[PendingSignature], used: set[int]) -> list[ChainMessage]:
    """Return each message with its nonce: what was signed before keeps its own, the others go around it."""
    known = [selection.known.get(one.id) for one in rest]
    used_nonces = used | {message.nonce for message in known if message is not None}
    numbers = free_nonces_generate(selection.sender, chain_state=selection.chain_state, gaps=selection.gaps)
    free = (nonce for nonce in numbers if nonce not in used_nonces)
    return [
        message or replace(one.ready.message, nonce=next(free))
        for one, message in zip(rest, known, strict=True)
    ]


def _answer_store(
    selection: Selection, one: PendingSignature, answer: SignedMessage | DomainError, *, client: ChainClient
) -> None:
    """Store a signature in the pending one, or what its refusal means for the message."""
    one.signed, one.is_retried = None, False
    if isinstance(answer, SignedMessage):
        one.signed = answer
        return
    if isinstance(answer, SignedBefore):
        wait, text = _signed_before(selection, one.ready.row, answer.messages, client=client)
        one.is_retried = not text
    else:
        wait = Wait.SIGNER_AWAY if isinstance(answer, SignerAway) else Wait.POLICY
        text = SIGN_FAILED(reason=refused(answer))
    if text:
        one.is_left_out = True
        selection.leave(one.ready.row, wait, text, is_failure=wait == Wait.POLICY)


def _signed_before(
    selection: Selection, row: Message, versions: Sequence[ChainMessage], *, client: ChainClient
) -> tuple[Wait, Reason | None]:
    """Note the nonce that the signer knows, or that it is dead; else return why the message is left."""
    newest = versions[0]
    if not row.has_content(newest):
        return Wait.POLICY, SIGNED_OTHERWISE(value=int(newest.value), to=str(newest.to))
    nonce = newest.nonce
    holders = Message.objects.filter(
        from_addr=row.from_addr, nonce=nonce, state__in=[MessageState.FILLED, MessageState.LANDED]
    )
    holder = holders.first() or _claimant(selection, row, nonce)
    if nonce >= selection.chain_state.chain_nonce:
        rival = _rival(selection, holder, versions, client=client)
        if rival:
            return Wait.SIGNED_BEFORE, SIGNED_NONCE_HELD(nonce=nonce, rival=rival)
        selection.known[row.pk] = replace(newest, params=bytes(row.params))  # in the form that is taken now
        return Wait.NONE, None
    landed = History(row.from_addr, client, selection.head).landed([nonce]).get(nonce)
    by_cid = {version.cid: version for version in versions}
    if holder is None and landed is not None and landed.message.cid in by_cid:
        selection.known[row.pk], selection.landed[row.pk] = by_cid[landed.message.cid], landed
    elif landed is not None and selection.head.height - landed.height >= DEAD_EPOCHS:
        selection.known.pop(row.pk, None)
        selection.dead[row.pk] = (*selection.dead.get(row.pk, ()), nonce)
    else:
        after = (selection.head.height if landed is None else landed.height) + DEAD_EPOCHS
        return Wait.SIGNED_BEFORE, SIGNED_NONCE_USED(nonce=nonce, epoch=after)
    return Wait.NONE, None


def _claimant(selection: Selection, row: Message, nonce: int) -> Message | None:
    """Return another message that keeps this nonce: the signer signed both with it, each thrown away."""
    claims = (pk for pk, message in selection.known.items() if pk != row.pk and message.nonce == nonce)
    return Message.objects.filter(pk__in=list(claims)).first()


def _rival(
    selection: Selection, holder: Message | None, versions: Sequence[ChainMessage], *, client: ChainClient
) -> Reason | None:
    """Return what else has the nonce of these versions: a row of ours, or a message in the node's pool."""
    if holder is not None:
        return RIVAL(push_id=holder.push_id)
    newest = versions[0]
    state = selection.chain_state
    if newest.nonce >= state.pool_nonce and newest.nonce not in state.foreign_nonces:
        return None
    for signed in client.mpool_pending():
        other = signed.message
        if (other.from_, other.nonce) == (newest.from_, newest.nonce):
            return None if other in versions else RIVAL_IN_POOL(cid=str(signed.cid))
    return RIVAL_IN_HEAD()


def unsigned_message_build(message: ChainMessage) -> SignedMessage:
    """Return a message that is to be signed elsewhere, with an empty signature of its key's type."""
    is_bls = message.from_.protocol == BLS
    return SignedMessage(message, Signature(SIG_BLS if is_bls else SIG_SECP256K1, b""))


def _sign(
    selection: Selection, pending: Sequence[tuple[PendingSignature, ChainMessage]]
) -> list[SignedMessage | DomainError]:
    """Sign each message for its tenant: one round through the hub per tenant."""
    if selection.is_export:
        return [unsigned_message_build(message) for _, message in pending]
    found: dict[int, SignedMessage | DomainError] = {}
    selection.selection_id.step += 1
    rows = [one.ready.row for one, _ in pending]
    for tenant in dict.fromkeys(row.tenant_id for row in rows):
        places = [at for at, row in enumerate(rows) if row.tenant_id == tenant]
        origins = [
            origin_build(
                rows[at], selection_id=selection.selection_id, dead=selection.dead.get(rows[at].pk, ())
            )
            for at in places
        ]
        answers = messages_sign([pending[at][1] for at in places], tenant_id=tenant, origins=origins)
        found.update(zip(places, answers, strict=True))
    return [found[at] for at in range(len(pending))]
