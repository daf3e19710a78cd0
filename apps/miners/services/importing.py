"""Importing a miner that the chain has already."""

from __future__ import annotations

from django.db import transaction

from apps.chain.node.client import ChainClient
from apps.chain.selectors.heads import head_current
from apps.core.errors import BadValue, NotAllowed
from apps.core.formatting import plural
from apps.core.live import Change, publish
from apps.core.marked_texts import gettext
from apps.miners.errors import MinerTaken
from apps.miners.models import Miner
from apps.miners.services.miner_values import address_read, name_read, seal_proof_choose
from apps.miners.services.refresh import miners_refresh
from apps.miners.states import MinerState, ProvenBy
from apps.users.models import Tenant
from apps.users.rules.principals import Principal
from apps.users.selectors.grants import miner_owner
from apps.users.services.audit import audit_record
from apps.users.services.grants import miner_grant
from poolsite.filecoin.address import (
    ID,
    Address,
    BadAddress,
    address_parse,
)
from poolsite.filecoin.policy import Network
from poolsite.filecoin.sector import RegisteredSealProof, post_proof


def miner_import(
    address: str,
    *,
    name: str,
    principal: Principal,
    tenant: Tenant,
    client: ChainClient,
    network: Network,
    proven_by: str = "",
) -> Miner:
    """Import a miner that the chain has, with what the chain says of it.

    `proven_by` says who proves its windows, makes its blocks and gives its sector numbers: the pool from the
    next head on, or another program until somebody sets a height.  With live sectors it must be said.  One
    that is here already stays as it is, and is refused where that is not what was said.

    Raises NotAllowed, BadValue, MinerTaken, NodeRefused, NodeUnavailable.
    """
    if not (principal.is_operator and principal.may("admin")):
        raise NotAllowed(gettext("only the pool operator can import a miner"))
    try:
        parsed = address_parse(address)
    except BadAddress:
        raise BadValue(gettext("enter a miner address, such as f01004"), field="address") from None
    text = str(parsed) if parsed.protocol == ID else client.state_lookup_id(str(parsed))
    info = client.state_miner_info(text)
    size, proof = int(info["SectorSize"]), post_proof(int(info["WindowPoStProofType"]))
    seal = seal_proof_choose(network, size=size)
    if seal.window_post_proof != proof:
        raise BadValue(
            gettext("its proof type {proof} is not one the pool can seal for").format(proof=proof.name),
            field="address",
        )
    live = int(client.call("StateMinerSectorCount", text, [])["Live"])
    if proven_by not in ProvenBy.values and (live or proven_by):
        raise BadValue(
            gettext("it has {sectors}: choose who proves them now, pool or other").format(
                sectors=plural(live, "live sector")
            ),
            field="proven_by",
        )
    with transaction.atomic():
        is_held = proven_by == ProvenBy.OTHER
        miner = miner_add(tenant=tenant, name=name_read(name), address=text, seal_proof=seal, is_held=is_held)
        _prover_check(miner, proven_by)
        after = {"tenant": tenant.name, "proven_by": proven_by or ProvenBy.POOL.value}
        audit_record(principal=principal, action="miner.import", target=miner.address, after=after)
        publish(Change("miner", miner.pk, tenant.pk))
    head = head_current()
    if head is not None:  # while the chain stalls no head comes to refresh it
        miners_refresh([miner], client=client, height=head.height, key=head.key, params=network.proving)
        miner.refresh_from_db()
    return miner


def _prover_check(miner: Miner, proven_by: str) -> None:
    """Refuse what is not so of a miner that was here before.  Raises MinerTaken."""
    present = ProvenBy.POOL if miner.works_until is None else ProvenBy.OTHER
    if proven_by in ("", present):
        return
    reason = (
        gettext("{miner} is here already, and the pool proves it: set a height under Move out…")
        if present == ProvenBy.POOL
        else gettext("{miner} is here already, and another program proves it: set a height under Move in…")
    )
    raise MinerTaken(reason.format(miner=miner.address), field="proven_by")


@transaction.atomic
def miner_add(
    *,
    tenant: Tenant,
    name: str,
    address: Address | str,
    seal_proof: RegisteredSealProof,
    is_held: bool = False,
) -> Miner:
    """Add the row of a miner that exists on the chain already; its facts come with the next head.

    Of one that another program has no block is made until its people ask for it.  One that is here already
    stays as it is.  Raises MinerTaken if another account has it.
    """
    actor_id = address_read(address).actor_id
    miner, is_new = Miner.objects.get_or_create(
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
            "works_until": 0 if is_held else None,
        },
    )
    owner = miner_owner(actor_id=actor_id)
    if miner.tenant_id != tenant.pk or owner not in ("", tenant.name):
        raise MinerTaken(
            gettext("f0{actor_id} belongs to another tenant").format(actor_id=actor_id), field="address"
        )
    if is_new or not owner:
        miner_grant(tenant=tenant, actor_id=actor_id, open_mining=not is_held)
    return miner
