"""Creating a miner: what it costs, its CreateMiner message, and what becomes of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import structlog
from django.db import IntegrityError, transaction
from django.utils.translation import gettext

from apps.chain.errors import NodeRefused
from apps.core.errors import BadValue, NotAllowed
from apps.core.formatting import size
from apps.core.live import Change, publish
from apps.core.prepared_statements import Prepared
from apps.core.transitions import advance
from apps.messages.selectors import messages_by_ids
from apps.messages.services.push import message_push
from apps.messages.states import MessageState
from apps.miners.due import CREATIONS
from apps.miners.errors import MinerTaken
from apps.miners.models import Miner
from apps.miners.selectors import miner_principal
from apps.miners.states import MinerState
from apps.users.services.audit import audit_record
from apps.users.services.grants import miner_grant, miner_grant_revoke
from apps.wallets.selectors import sender_allowed
from poolsite.filecoin.actors import power
from poolsite.filecoin.address import (
    DELEGATED,
    POWER_ACTOR,
    SECP256K1,
    Address,
    BadAddress,
    address_format,
    address_parse,
)
from poolsite.filecoin.amounts import amount_parse, fil_format
from poolsite.filecoin.codec import from_cbor, to_cbor
from poolsite.filecoin.message import METHOD_SEND
from poolsite.filecoin.sector import post_proof

if TYPE_CHECKING:
    from collections.abc import Sequence

    from apps.chain.client import ChainClient
    from apps.messages.models import Message
    from apps.users.models import Tenant
    from apps.users.principals import Principal
    from poolsite.filecoin.policy import Network
    from poolsite.filecoin.sector import RegisteredSealProof

CREATIONS_DUE: Final = Prepared("creations_due", CREATIONS, ["text", "text"])
NAME_MAX: Final = 64

WORKER_FUND: Final = 10**17
"""0.1 FIL: creates the worker's address on chain and pays its first messages."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class MinerSpec:
    """A miner that is to be made."""

    name: str
    owner: str
    worker: str
    sector_size: int
    key: str
    """Names the spec, so that a double click makes one miner."""
    fund_worker: bool = False
    """Send the worker some FIL from the owner first, where the chain does not know its address yet."""


@dataclass(frozen=True, slots=True)
class CreationPlan:
    """What making a miner costs the owner, besides gas, before anything is pushed."""

    owner: str
    worker: str
    proof: RegisteredSealProof
    deposit: int
    """attoFIL; vests back to the miner."""
    worker_fund: int
    """attoFIL that are sent to the worker first; 0 if the chain knows its address."""

    @property
    def total(self) -> int:
        """What the owner's balance has to cover, attoFIL."""
        return self.deposit + self.worker_fund


def creation_deposit_read(client: ChainClient) -> int:
    """Return what the chain wants for a new miner, attoFIL; it vests back.  Raises NodeRefused."""
    return int(amount_parse(client.call("StateMinerCreationDeposit", [])))


def may_create(principal: Principal, tenant: Tenant) -> bool:
    """Return whether somebody may make miners of this tenant."""
    return principal.may("sign") and (principal.is_operator or principal.own_id == tenant.pk)


def creation_plan(
    spec: MinerSpec, *, principal: Principal, tenant: Tenant, client: ChainClient, network: Network
) -> CreationPlan:
    """Return what making this miner takes; nothing is changed.

    Raises NotAllowed, BadValue naming the field, NodeRefused, NodeUnavailable.
    """
    if not may_create(principal, tenant):
        raise NotAllowed(gettext("requires permission to sign for the tenant"))
    name_read(spec.name)
    owner, worker = (
        key_read(getattr(spec, field), tenant=tenant, field=field) for field in ("owner", "worker")
    )
    if address_parse(worker).protocol in (SECP256K1, DELEGATED):  # the message would never land
        raise BadValue(
            gettext("the worker must be a BLS key, an address that begins with f3"), field="worker"
        )
    proof = proof_of_size(network, spec.sector_size)
    if not actor_exists(owner, client=client):
        raise BadValue(
            gettext("it does not exist on chain yet: send it the deposit and gas first"), field="owner"
        )
    is_known = actor_exists(worker, client=client)
    return CreationPlan(owner, worker, proof, creation_deposit_read(client), 0 if is_known else WORKER_FUND)


def actor_exists(address: str, *, client: ChainClient) -> bool:
    """Return whether the chain has an actor at an address: it does once somebody has sent FIL there.

    Raises NodeRefused, NodeUnavailable.
    """
    try:
        client.state_get_actor(address)
    except NodeRefused as refusal:
        if "not found" in refusal.reason:
            return False
        raise
    return True


def miner_create(
    spec: MinerSpec, *, principal: Principal, tenant: Tenant, client: ChainClient, network: Network
) -> Miner:
    """Push CreateMiner with the deposit that the chain asks; the miner is there once it has landed.

    The chain refuses a worker whose address it does not know (exit code 16): such a one is sent some FIL by
    a message before, if the spec says so.
    Raises NotAllowed, BadValue, NodeRefused, NodeUnavailable, and what `message_push` raises.
    """
    message_id = f"create-miner:{tenant.uuid}:{spec.key}"
    is_again = Miner.objects.filter(create_message_id=message_id).exists()
    plan = creation_plan(spec, principal=principal, tenant=tenant, client=client, network=network)
    if plan.worker_fund and not spec.fund_worker:
        fund = fil_format(plan.worker_fund)
        reason = gettext(
            "its address does not exist on chain yet: send it FIL first ({fund} is enough to create it)"
        ).format(fund=fund)
        raise BadValue(reason, field="worker")
    if plan.worker_fund:
        message_push(
            principal=replace(principal, tenant_id=tenant.pk, tenant_name=tenant.name),
            id=f"fund-worker:{tenant.uuid}:{spec.key}",
            to=plan.worker,
            from_=plan.owner,
            value=WORKER_FUND,
            method=METHOD_SEND,
        )
    miner = create_miner_push(
        tenant=tenant,
        name=name_read(spec.name),
        owner=plan.owner,
        worker=plan.worker,
        seal_proof=plan.proof,
        deposit=plan.deposit,
        message_id=message_id,
    )
    if not is_again:
        after = {
            "tenant": tenant.name,
            "owner": plan.owner,
            "worker": plan.worker,
            "size": " ".join(size(miner.sector_size)),
            "worker_fund": fil_format(plan.worker_fund),
        }
        audit_record(principal=principal, action="miner.create", target=miner.name, after=after)
    return miner


def name_read(text: str) -> str:
    """Read what people call a miner.  Raises BadValue."""
    if not text.strip() or len(text) > NAME_MAX or not text.isprintable():
        raise BadValue(
            gettext("must be 1 to {most} printable characters").format(most=NAME_MAX), field="name"
        )
    return text.strip()


def key_read(text: str, *, tenant: Tenant, field: str) -> str:
    """Read an address that the tenant may send from.  Raises BadValue."""
    try:
        address = str(address_parse(text))
    except BadAddress:
        raise BadValue(gettext("choose one of the wallets"), field=field) from None
    if not sender_allowed(tenant.pk, address):
        raise BadValue(
            gettext("{tenant} may not sign for this address").format(tenant=tenant.name), field=field
        )
    return address


def proof_of_size(network: Network, size: int) -> RegisteredSealProof:
    """Return how the network seals sectors of this size.  Raises BadValue."""
    for proof in network.seal_proofs:
        if proof.sector_size == size:
            return proof
    raise BadValue(gettext("the network does not support this sector size"), field="sector_size")


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
        "owner": address_format(to_address(owner)),
        "worker": address_format(to_address(worker)),
        "control": [address_format(to_address(one)) for one in control],
        "seal_proof": int(seal_proof),
        "post_proof": int(seal_proof.window_post_proof),
        "sector_size": int(seal_proof.sector_size),
    }
    try:
        miner, _ = Miner.objects.get_or_create(create_message_id=message_id, defaults=facts)
    except IntegrityError:
        miner = Miner.objects.get(create_message_id=message_id)
    if miner.tenant_id != tenant.pk:
        raise MinerTaken(
            gettext("message id {message_id} belongs to another tenant's miner").format(
                message_id=message_id
            ),
            field="message_id",
        )
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
    if not CREATIONS_DUE.rows([MinerState.ACTIVE, MessageState.LANDED]):
        return
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
    """Return what a miner is as far as its CreateMiner message goes."""
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
        return gettext("CreateMiner ended with exit code {exit_code}").format(exit_code=message.exit_code)
    return message.error or gettext("CreateMiner was {state}").format(state=message.state.lower())


def to_address(value: Address | str) -> Address:
    """Return an address that may come as text.  Raises BadAddress."""
    return value if isinstance(value, Address) else address_parse(value)
