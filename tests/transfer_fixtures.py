"""A miner of alice's that can go to bob: he may sign with its keys, has a signer, a prover and its store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from apps.core import clock
from apps.gateway.models import SignerConnection
from apps.miners.models import Miner, MinerAddress, MinerTransfer
from apps.miners.services.transfer import TransferRequest
from apps.miners.states import Use
from apps.proving.services.transfer import miner_transfer
from apps.sectors.models import Sector, Worker
from apps.users.rules.principals import SYSTEM
from apps.users.services.grants import miner_grant, signer_grant
from poolsite.wire.jobs import JobKind
from poolsite.wire.pipeline import SectorState
from tests import factories, people

ADDRESS = "f02001"
STORE = "store-1"


@dataclass(frozen=True, slots=True)
class TransferCase:
    """What a transfer has to do with."""

    miner: Miner
    sector: Sector
    signer: SignerConnection
    prover: Worker
    """Bob's both."""
    worker_key: str
    control_key: str

    def wish(self, **data: Any) -> TransferRequest:
        """Ask for it to be bob's, as somebody who reads the miner now."""
        miner = Miner.objects.select_related("tenant").get(pk=self.miner.pk)
        return TransferRequest(**{"miner": miner, "to_tenant": people.tenant("bob"), **data})

    def go(self, **data: Any) -> MinerTransfer:
        """Hand it over."""
        return miner_transfer(self.wish(**data), principal=SYSTEM, now=clock.now())


def transfer_case(**overrides: Any) -> TransferCase:
    """The two tenants, the miner with a proven sector, and all that bob needs."""
    people.tenant("bob")
    worker, control = factories.bls(301), factories.secp(302)
    factories.wallet(worker, of="alice", label="worker")
    factories.wallet(control, of="alice", label="control")
    data = {"owner": worker, "worker": worker, "control": [control], "live_sectors": 1, **overrides}
    miner = factories.miner(2001, of="alice", name="fra-1", **data)
    MinerAddress.objects.create(miner=miner, use=Use.POST, address=control)
    miner_grant(tenant=miner.tenant, actor_id=2001)
    factories.deadlines(miner, live={2: "later"})
    sector = factories.sector(miner, state=SectorState.PROVING, store=STORE)
    signer = factories.signer_connection(of="bob")
    for key in (worker, control):
        signer_grant(tenant=people.tenant("bob"), address=key)
        factories.signer_key(key, signer)
    prover = factories.worker("prover-b", of="bob", kinds=[JobKind.WINDOW_POST], stores=[STORE])
    return TransferCase(miner, sector, signer, prover, worker, control)
