"""What creating a miner costs the owner and who may create one, before anything is pushed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from apps.chain.errors import NodeRefused
from apps.chain.node.client import ChainClient
from apps.core.errors import BadValue, NotAllowed
from apps.core.marked_texts import gettext
from apps.miners.services.miner_values import key_read, name_read, seal_proof_choose
from apps.users.models import Tenant
from apps.users.rules.principals import Principal
from poolsite.filecoin.address import DELEGATED, SECP256K1, address_parse
from poolsite.filecoin.amounts import amount_parse
from poolsite.filecoin.policy import Network
from poolsite.filecoin.sector import RegisteredSealProof

WORKER_FUND: Final = 10**17
"""0.1 FIL: creates the worker's address on chain and pays its first messages."""
DEPOSIT_PERCENT: Final = 101
"""What a message brings, of the deposit that the chain wants at the newest head."""


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
        """Return what the owner's balance has to cover, attoFIL."""
        return self.deposit + self.worker_fund


def creation_deposit_read(client: ChainClient) -> int:
    """Return the deposit that a new miner's message brings, attoFIL; it vests back.  Raises NodeRefused.

    A little more than the chain wants now: the miner's constructor computes it again from power and reward of
    the epoch in which the message lands, and refuses one attoFIL less.  The rest is the miner's, unlocked.
    Source: builtin-actors, actors/miner/src/lib.rs, `constructor`; lotus brings 1 % more, too.
    """
    wanted = int(amount_parse(client.call("StateMinerCreationDeposit", [])))
    return -(-wanted * DEPOSIT_PERCENT // 100)


def may_create(principal: Principal, *, tenant: Tenant) -> bool:
    """Return whether somebody may make miners of this tenant."""
    return principal.may("sign") and (principal.is_operator or principal.own_id == tenant.pk)


def creation_plan(
    spec: MinerSpec, *, principal: Principal, tenant: Tenant, client: ChainClient, network: Network
) -> CreationPlan:
    """Return what making this miner takes; nothing is changed.

    Raises NotAllowed, BadValue naming the field, NodeRefused, NodeUnavailable.
    """
    if not may_create(principal, tenant=tenant):
        raise NotAllowed(gettext("requires permission to sign for the tenant"))
    name_read(spec.name)
    owner, worker = (
        key_read(getattr(spec, field), tenant=tenant, field=field) for field in ("owner", "worker")
    )
    if address_parse(owner).protocol == DELEGATED:
        raise BadValue(
            gettext("an Ethereum key (f410) signs no method of a miner: choose a key of another type"),
            field="owner",
        )
    if address_parse(worker).protocol in (SECP256K1, DELEGATED):  # the message would never land
        raise BadValue(
            gettext("the worker must be a BLS key, an address that begins with f3"), field="worker"
        )
    proof = seal_proof_choose(network, size=spec.sector_size)
    if not _actor_exists(owner, client=client):
        raise BadValue(
            gettext("it does not exist on chain yet: send it the deposit and gas first"), field="owner"
        )
    is_known = _actor_exists(worker, client=client)
    return CreationPlan(owner, worker, proof, creation_deposit_read(client), 0 if is_known else WORKER_FUND)


def _actor_exists(address: str, *, client: ChainClient) -> bool:
    """Return whether the chain has an actor at an address: it does once somebody has sent FIL there.

    Raises NodeRefused, NodeUnavailable.
    """
    try:
        client.state_get_actor(address)
    except NodeRefused as refusal:
        if refusal.is_missing_actor:
            return False
        raise
    return True
