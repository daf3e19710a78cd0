"""What becomes of miners whose CreateMiner messages are on the way, landed, failed or left the chain."""

from __future__ import annotations

from typing import Final

from django.db import transaction

from apps.core.live import Change, publish
from apps.core.prepared_statements import Prepared
from apps.core.reasons import MARKED, Reason, as_reason
from apps.core.transitions import advance
from apps.messages.models import Message
from apps.messages.selectors.messages import messages_by_ids
from apps.messages.states import MessageState
from apps.miners.due import CREATIONS, YOUNG_EPOCHS
from apps.miners.models import Miner
from apps.miners.reasons import CREATION_ENDED, CREATION_REFUSED
from apps.miners.states import MinerState
from apps.users.services.grants import miner_grant, miner_grant_revoke
from poolsite.filecoin.actors import power
from poolsite.filecoin.address import address_format
from poolsite.filecoin.codec import from_cbor

CREATIONS_DUE: Final = Prepared("creations_due", CREATIONS, ["text", "text"])


def creations_follow() -> None:
    """Follow the CreateMiner messages in flight, and for a while those that landed.

    A message that landed may leave the chain in a reorganisation, or make a miner with another ID, which
    another of our miners has had: so all that are not what their messages made are reverted first.
    """
    if not CREATIONS_DUE.rows([MinerState.ACTIVE, MessageState.LANDED]):
        return
    waiting = Miner.objects.select_related("tenant").exclude(create_message_id=None)
    rows = [miner for miner in waiting if miner.state != MinerState.ACTIVE or _is_young(miner)]
    messages = messages_by_ids([miner.create_message_id for miner in rows if miner.create_message_id])
    moved = [
        (miner.pk, message)
        for miner in rows
        if (message := messages.get(miner.create_message_id or "")) is not None
        and not _agrees(miner, message)
    ]
    for step in (_miner_revert, _miner_follow):
        for pk, message in moved:
            step(pk, message)


def _is_young(miner: Miner) -> bool:
    height = miner.created_height
    return height is not None and miner.refreshed_height - height < YOUNG_EPOCHS


def _state_by(message: Message) -> MinerState:
    """Return what a miner is as far as its CreateMiner message goes."""
    if message.state in (MessageState.UNFILLED, MessageState.FILLED):
        return MinerState.CREATING
    return MinerState.ACTIVE if message.has_succeeded else MinerState.FAILED


def _agrees(miner: Miner, message: Message) -> bool:
    if miner.state != _state_by(message):
        return False
    return miner.state != MinerState.ACTIVE or (
        miner.created_height == message.height and miner.actor_id == _made(message).id_address.actor_id
    )


def _made(message: Message) -> power.CreateMinerReturn:
    """Return what a CreateMiner message that succeeded has made."""
    return from_cbor(power.CreateMinerReturn, message.return_)


@transaction.atomic
def _miner_revert(pk: int, message: Message) -> None:
    """Remove a miner's ID where its message is not on the chain any more, or made another one."""
    miner = _miner_lock(pk)
    if miner is None or miner.state != MinerState.ACTIVE or _agrees(miner, message):
        return  # another task removed the miner or was faster
    if miner.actor_id is not None:  # after a reorganisation another actor may get the ID
        miner_grant_revoke(actor_id=miner.actor_id)
    advance(miner, "REVERT", actor_id=None, robust="", created_height=None)
    publish(Change("miner", miner.pk, miner.tenant_id))


@transaction.atomic
def _miner_follow(pk: int, message: Message) -> None:
    """Bring a miner to where its message is, also if that was given up and landed."""
    miner = _miner_lock(pk)
    if miner is None or miner.state == MinerState.ACTIVE or _agrees(miner, message):
        return
    if miner.state == MinerState.FAILED:
        advance(miner, "RETRY", error="")
    wanted = _state_by(message)
    if wanted == MinerState.ACTIVE:
        made = _made(message)
        actor_id = made.id_address.actor_id
        advance(
            miner,
            "LAND",
            actor_id=actor_id,
            robust=address_format(made.robust_address),
            created_height=message.height,
            error="",
        )
        miner_grant(tenant=miner.tenant, actor_id=actor_id)
    elif wanted == MinerState.FAILED:
        advance(miner, "FAIL", error=_refusal(message))
    publish(Change("miner", miner.pk, miner.tenant_id))


def _miner_lock(pk: int) -> Miner | None:
    return Miner.objects.select_for_update(of=("self",)).select_related("tenant").filter(pk=pk).first()


def _refusal(message: Message) -> Reason | str:
    if message.state == MessageState.LANDED:
        return CREATION_REFUSED(exit_code=message.exit_code)
    return as_reason(message.error) or CREATION_ENDED(state=MARKED(text=message.state.lower()))
