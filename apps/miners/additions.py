"""Getting a miner: made anew by a CreateMiner message, or taken in because the chain has it already."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.db import transaction

from apps.core.errors import BadValue, Conflict, NotAllowed
from apps.core.live import Change, publish
from apps.miners.models import Miner
from apps.miners.services import miner_adopt, miner_create
from apps.miners.states import MinerState
from apps.users.services import audit_record, miner_ungrant
from apps.wallets.selectors import sender_allowed
from poolsite.filecoin.address import DELEGATED, ID, SECP256K1, BadAddress, address_parse
from poolsite.filecoin.amounts import amount_parse
from poolsite.filecoin.sector import post_proof

if TYPE_CHECKING:
    from apps.chain.client import ChainClient
    from apps.users.models import Tenant
    from apps.users.principals import Principal
    from poolsite.filecoin.policy import Network
    from poolsite.filecoin.sector import RegisteredSealProof

NAME_MAX: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class MinerWish:
    """A miner that is to be made."""

    name: str
    owner: str
    worker: str
    sector_size: int
    key: str
    """Names the wish, so that a double click makes one miner."""


def creation_deposit(client: ChainClient) -> int:
    """Give what the chain wants for a new miner, attoFIL; it vests back.  Raises NodeRefused."""
    return int(amount_parse(client.call("StateMinerCreationDeposit", [])))


def may_add(principal: Principal, tenant: Tenant) -> bool:
    """Tell whether somebody may make miners of this tenant."""
    return principal.may("sign") and (principal.is_operator or principal.own_id == tenant.pk)


def miner_make(
    wish: MinerWish, *, principal: Principal, tenant: Tenant, client: ChainClient, network: Network
) -> Miner:
    """Push CreateMiner with the deposit that the chain asks; the miner is there once it has landed.

    Raises NotAllowed, BadValue, NodeRefused, NodeUnavailable, and what `message_push` raises.
    """
    if not may_add(principal, tenant):
        raise NotAllowed("this is for those who sign for the tenant")
    owner, worker = (
        key_read(getattr(wish, field), tenant=tenant, field=field) for field in ("owner", "worker")
    )
    if address_parse(worker).protocol in (SECP256K1, DELEGATED):  # the message would never land
        raise BadValue("the chain takes a BLS key as worker, an address that begins with f3", field="worker")
    message_id = f"create-miner:{tenant.uuid}:{wish.key}"
    is_again = Miner.objects.filter(create_message_id=message_id).exists()
    miner = miner_create(
        tenant=tenant,
        name=name_read(wish.name),
        owner=owner,
        worker=worker,
        seal_proof=proof_of_size(network, wish.sector_size),
        deposit=creation_deposit(client),
        message_id=message_id,
    )
    if not is_again:
        after = {"tenant": tenant.name, "owner": owner, "worker": worker, "size": miner.sector_size}
        audit_record(principal=principal, action="miner.make", target=miner.name, after=after)
    return miner


def miner_take_in(
    address: str, *, name: str, principal: Principal, tenant: Tenant, client: ChainClient, network: Network
) -> Miner:
    """Take in a miner that the chain has; from the next head on the pool proves its sectors.

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
        miner = miner_adopt(tenant=tenant, name=name_read(name), address=text, seal_proof=seal)
        audit_record(
            principal=principal, action="miner.adopt", target=miner.address, after={"tenant": tenant.name}
        )
        publish(Change("miner", miner.pk, tenant.pk))
    return miner


def may_let_go(principal: Principal, miner: Miner) -> bool:
    """Tell whether somebody may take a miner out of the pool.

    One that could not be made: whoever may make another.  One that was taken in and has no sector here: the
    operator.
    """
    if miner.state == MinerState.FAILED:
        return may_add(principal, miner.tenant)
    return (
        _is_in_charge(principal)
        and miner.state == MinerState.ACTIVE
        and miner.create_message_id is None
        and not miner.sectors.exists()
    )


def _is_in_charge(principal: Principal) -> bool:
    return principal.is_operator and principal.may("admin")


@transaction.atomic
def miner_let_go(miner: Miner, *, principal: Principal) -> None:
    """Take a miner out of the pool: it is proven here no more; on the chain nothing changes.

    Raises NotAllowed, Conflict.
    """
    miner = Miner.objects.select_for_update(of=("self",)).select_related("tenant").get(pk=miner.pk)
    is_allowed = (
        may_add(principal, miner.tenant) if miner.state == MinerState.FAILED else _is_in_charge(principal)
    )
    if not is_allowed:
        raise NotAllowed("this is for the operator of the pool")
    if not may_let_go(principal, miner):
        raise Conflict("it was made here or has sectors here: it stays", field="miner")
    target, tenant_id = miner.address or str(miner.uuid), miner.tenant_id
    if miner.actor_id is not None:
        miner_ungrant(actor_id=miner.actor_id)
    miner.jobs.all().delete()
    miner.delete()
    audit_record(
        principal=principal, action="miner.let-go", target=target, before={"tenant": miner.tenant.name}
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
