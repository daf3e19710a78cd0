"""Writing miners: making the actor, and storing what the chain says about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog
from django.db import IntegrityError, transaction

from apps.core.live import Change, publish
from apps.core.transitions import advance
from apps.messages.selectors import messages_by_ids
from apps.messages.services import message_push
from apps.messages.states import MessageState
from apps.miners.errors import MinerTaken
from apps.miners.models import Miner, MinerAddress
from apps.miners.selectors import miner_principal
from apps.miners.states import MinerState, Use
from apps.users.selectors import miner_owner
from apps.users.services import miner_grant, miner_grant_revoke
from poolsite.filecoin.actors import power
from poolsite.filecoin.address import POWER_ACTOR, Address, address_format, address_parse
from poolsite.filecoin.codec import from_cbor, to_cbor
from poolsite.filecoin.sector import post_proof

if TYPE_CHECKING:
    from collections.abc import Sequence

    from apps.messages.models import Message
    from apps.users.models import Tenant
    from poolsite.filecoin.sector import RegisteredSealProof

log = structlog.get_logger(__name__)


def create_miner_push(
    *,
    tenant: Tenant,
    name: str,
    owner: Address | str,
    worker: Address | str,
    control: Sequence[Address | str] = (),
    seal_proof: RegisteredSealProof,
    deposit: int,
    message_id: str,
) -> Miner:
    """Push CreateMiner under `message_id` and give the miner's row; the same id gives the same row again.

    `deposit` (attoFIL) must cover StateMinerCreationDeposit.  Safe to repeat after a crash at any line:
    the row comes first, the push is idempotent.  Raises MinerTaken, and what `message_push` raises.
    """
    facts = {
        "tenant": tenant,
        "name": name,
        "owner": address_format(_address(owner)),
        "worker": address_format(_address(worker)),
        "control": [address_format(_address(one)) for one in control],
        "seal_proof": int(seal_proof),
        "post_proof": int(seal_proof.window_post_proof),
        "sector_size": int(seal_proof.sector_size),
    }
    try:
        miner, _ = Miner.objects.get_or_create(create_message_id=message_id, defaults=facts)
    except IntegrityError:
        miner = Miner.objects.get(create_message_id=message_id)
    if miner.tenant_id != tenant.pk:
        raise MinerTaken(f"message id {message_id} makes another account's miner", field="message_id")
    if miner.state != MinerState.CREATING:
        return miner
    params = power.CreateMinerParams(
        owner=address_parse(miner.owner),
        worker=address_parse(miner.worker),
        window_post_proof_type=post_proof(miner.post_proof),
        peer=b"",
        multiaddrs=(),
    )
    message_push(
        principal=miner_principal(miner),
        id=message_id,
        to=POWER_ACTOR,
        from_=miner.owner,
        value=deposit,
        method=power.Method.CREATE_MINER,
        params=to_cbor(params),
        kind="create_miner",
    )
    publish(Change("miner", miner.pk, miner.tenant_id))
    return miner


def creations_follow() -> None:
    """Look at the CreateMiner messages that are on the way, and back at the ones that landed.

    The second look finds a miner whose message left the chain in a reorganisation.
    """
    waiting = Miner.objects.select_related("tenant").exclude(create_message_id=None)
    rows = [miner for miner in waiting if miner.state != MinerState.ACTIVE or _is_young(miner)]
    messages = messages_by_ids([miner.create_message_id for miner in rows if miner.create_message_id])
    for miner in rows:
        message = messages.get(miner.create_message_id or "")
        if message is not None and not _agrees(miner, message):
            _miner_follow(miner.pk, message)


def _is_young(miner: Miner) -> bool:
    return miner.created_height is not None and miner.refreshed_height - miner.created_height < 1_000


def _state_by(message: Message) -> MinerState:
    """Say what a miner is as far as its CreateMiner message goes."""
    if message.state in (MessageState.UNFILLED, MessageState.FILLED):
        return MinerState.CREATING
    return MinerState.ACTIVE if message.has_succeeded else MinerState.FAILED


def _agrees(miner: Miner, message: Message) -> bool:
    is_same = miner.state != MinerState.ACTIVE or miner.created_height == message.height
    return miner.state == _state_by(message) and is_same


@transaction.atomic
def _miner_follow(pk: int, message: Message) -> None:
    """Bring a miner to where its message is, also if that was given up and landed, or left the chain."""
    miner = Miner.objects.select_for_update(of=("self",)).select_related("tenant").filter(pk=pk).first()
    if miner is None or _agrees(miner, message):
        return  # removed, or brought there a moment ago
    if miner.state == MinerState.ACTIVE:
        if miner.actor_id is not None:  # the chain may give the number to somebody else's actor now
            miner_grant_revoke(actor_id=miner.actor_id)
        advance(miner, "REVERT", actor_id=None, robust="", created_height=None)
    elif miner.state == MinerState.FAILED:
        advance(miner, "RETRY", error="")
    wanted = _state_by(message)
    if wanted == MinerState.ACTIVE:
        made = from_cbor(power.CreateMinerReturn, message.return_)
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


def _refusal(message: Message) -> str:
    if message.state == MessageState.LANDED:
        return f"CreateMiner ended with exit code {message.exit_code}"
    return message.error or f"CreateMiner was {message.state.lower()}"


@transaction.atomic
def miner_add(*, tenant: Tenant, name: str, address: Address | str, seal_proof: RegisteredSealProof) -> Miner:
    """Add the row of a miner that exists on the chain already; its facts come with the next head.

    Raises MinerTaken if another account has it.
    """
    actor_id = _address(address).actor_id
    miner, _ = Miner.objects.get_or_create(
        actor_id=actor_id,
        defaults={
            "tenant": tenant,
            "name": name,
            "state": MinerState.ACTIVE,
            "owner": "",
            "worker": "",
            "seal_proof": int(seal_proof),
            "post_proof": int(seal_proof.window_post_proof),
            "sector_size": int(seal_proof.sector_size),
        },
    )
    if miner.tenant_id != tenant.pk or miner_owner(actor_id=actor_id) not in ("", tenant.name):
        raise MinerTaken(f"f0{actor_id} belongs to another account", field="address")
    miner_grant(tenant=tenant, actor_id=actor_id)
    return miner


@transaction.atomic
def miner_addresses_set(miner: Miner, *, use: Use, addresses: Sequence[Address | str]) -> None:
    """Set which addresses send for a use, replacing the earlier ones; none means the worker."""
    Miner.objects.select_for_update().get(pk=miner.pk)
    miner.uses.filter(use=use).delete()
    keys = dict.fromkeys(address_format(_address(one)) for one in addresses)
    MinerAddress.objects.bulk_create(MinerAddress(miner=miner, use=use, address=key) for key in keys)
    publish(Change("miner", miner.pk, miner.tenant_id))


def _address(value: Address | str) -> Address:
    return value if isinstance(value, Address) else address_parse(value)
