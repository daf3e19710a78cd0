"""Adding a miner, created by a CreateMiner message or imported from the chain, and removing one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from django.db import transaction

from apps.chain.errors import NodeRefused
from apps.core.errors import BadValue, Conflict, NotAllowed
from apps.core.live import Change, publish
from apps.messages.services import message_push
from apps.miners.models import Miner
from apps.miners.services.create import create_miner_push, miner_add
from apps.miners.states import MinerState
from apps.users.services import audit_record, miner_grant_revoke
from apps.wallets.selectors import sender_allowed
from poolsite.filecoin.address import DELEGATED, ID, SECP256K1, BadAddress, address_parse
from poolsite.filecoin.amounts import amount_parse, fil_format
from poolsite.filecoin.message import METHOD_SEND
from poolsite.filecoin.sector import post_proof

if TYPE_CHECKING:
    from apps.chain.client import ChainClient
    from apps.users.models import Tenant
    from apps.users.principals import Principal
    from poolsite.filecoin.policy import Network
    from poolsite.filecoin.sector import RegisteredSealProof

NAME_MAX: Final = 64
WORKER_FUND: Final = 10**17
"""0.1 FIL: creates the worker's address on chain and pays its first messages."""


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
    """Give what the chain wants for a new miner, attoFIL; it vests back.  Raises NodeRefused."""
    return int(amount_parse(client.call("StateMinerCreationDeposit", [])))


def may_create(principal: Principal, tenant: Tenant) -> bool:
    """Tell whether somebody may make miners of this tenant."""
    return principal.may("sign") and (principal.is_operator or principal.own_id == tenant.pk)


def creation_plan(
    spec: MinerSpec, *, principal: Principal, tenant: Tenant, client: ChainClient, network: Network
) -> CreationPlan:
    """Return what making this miner takes; nothing is changed.

    Raises NotAllowed, BadValue naming the field, NodeRefused, NodeUnavailable.
    """
    if not may_create(principal, tenant):
        raise NotAllowed("this is for those who sign for the tenant")
    name_read(spec.name)
    owner, worker = (
        key_read(getattr(spec, field), tenant=tenant, field=field) for field in ("owner", "worker")
    )
    if address_parse(worker).protocol in (SECP256K1, DELEGATED):  # the message would never land
        raise BadValue("the chain takes a BLS key as worker, an address that begins with f3", field="worker")
    proof = proof_of_size(network, spec.sector_size)
    if not actor_exists(owner, client=client):
        raise BadValue("it does not exist on chain: send it the deposit and gas first", field="owner")
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
        reason = f"its address does not exist on chain yet: send it FIL first ({fund} creates it)"
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
            "size": miner.sector_size,
            "worker_fund": str(plan.worker_fund),
        }
        audit_record(principal=principal, action="miner.create", target=miner.name, after=after)
    return miner


def miner_import(
    address: str, *, name: str, principal: Principal, tenant: Tenant, client: ChainClient, network: Network
) -> Miner:
    """Import a miner that the chain has; from the next head on the pool proves its sectors.

    Raises NotAllowed, BadValue, MinerTaken, NodeRefused, NodeUnavailable.
    """
    if not (principal.is_operator and principal.may("admin")):
        raise NotAllowed("this is for the operator of the pool")
    try:
        parsed = address_parse(address)
    except BadAddress:
        raise BadValue("write the address of a miner, such as f01004", field="address") from None
    text = str(parsed) if parsed.protocol == ID else client.state_lookup_id(str(parsed))
    info = client.state_miner_info(text)
    size, proof = int(info["SectorSize"]), post_proof(int(info["WindowPoStProofType"]))
    seal = proof_of_size(network, size)
    if seal.window_post_proof != proof:
        raise BadValue(f"it proves by {proof.name}, which the pool does not seal for", field="address")
    with transaction.atomic():
        miner = miner_add(tenant=tenant, name=name_read(name), address=text, seal_proof=seal)
        audit_record(
            principal=principal, action="miner.import", target=miner.address, after={"tenant": tenant.name}
        )
        publish(Change("miner", miner.pk, tenant.pk))
    return miner


def may_remove(principal: Principal, miner: Miner) -> bool:
    """Tell whether somebody may remove a miner from the pool.

    One that could not be made: whoever may make another.  One that was imported and has no sector here: the
    operator.
    """
    if miner.state == MinerState.FAILED:
        return may_create(principal, miner.tenant)
    return (
        _is_in_charge(principal)
        and miner.state == MinerState.ACTIVE
        and miner.create_message_id is None
        and not miner.sectors.exists()
    )


def _is_in_charge(principal: Principal) -> bool:
    return principal.is_operator and principal.may("admin")


@transaction.atomic
def miner_remove(miner: Miner, *, principal: Principal) -> None:
    """Remove a miner from the pool: it is proven here no more; on the chain nothing changes.

    Raises NotAllowed, Conflict.
    """
    miner = Miner.objects.select_for_update(of=("self",)).select_related("tenant").get(pk=miner.pk)
    is_allowed = (
        may_create(principal, miner.tenant) if miner.state == MinerState.FAILED else _is_in_charge(principal)
    )
    if not is_allowed:
        raise NotAllowed("this is for the operator of the pool")
    if not may_remove(principal, miner):
        raise Conflict("it was made here or has sectors here: it stays", field="miner")
    target, tenant_id = miner.address or str(miner.uuid), miner.tenant_id
    if miner.actor_id is not None:
        miner_grant_revoke(actor_id=miner.actor_id)
    miner.jobs.all().delete()
    miner.delete()
    audit_record(
        principal=principal, action="miner.remove", target=target, before={"tenant": miner.tenant.name}
    )
    publish(Change("miner", target, tenant_id))


def name_read(text: str) -> str:
    """Read what people call a miner.  Raises BadValue."""
    if not text.strip() or len(text) > NAME_MAX or not text.isprintable():
        raise BadValue(f"1 to {NAME_MAX} letters", field="name")
    return text.strip()


def key_read(text: str, *, tenant: Tenant, field: str) -> str:
    """Read an address that the tenant may send from.  Raises BadValue."""
    try:
        address = str(address_parse(text))
    except BadAddress:
        raise BadValue("choose one of the wallets", field=field) from None
    if not sender_allowed(tenant.pk, address):
        raise BadValue(f"{tenant.name} may not sign for it", field=field)
    return address


def proof_of_size(network: Network, size: int) -> RegisteredSealProof:
    """Give how the network seals sectors of this size.  Raises BadValue."""
    for proof in network.seal_proofs:
        if proof.sector_size == size:
            return proof
    raise BadValue("the network has no sectors of this size", field="sector_size")
