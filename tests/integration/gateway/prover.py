"""A prover that listens at the hub, and what it is asked for."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from channels.db import database_sync_to_async

from apps.gateway.models import ProverConnection
from apps.gateway.selectors.connections import provers_connected
from apps.users.rules.principals import SYSTEM
from apps.users.services.grants import miner_grant
from poolsite.filecoin.cids import cid_to_json, commr_cid
from poolsite.filecoin.porep.parameters import seal_parameters
from tests import people
from tests.unit.workers.processors.sealing import sealing
from workers.processors import winning_post
from workers.prover.gateway import ProofLine, gateway_url
from workers.prover.winning import compute_proof
from workers.storage.store import Store
from workers.storage.stores import Stores

MINER, NUMBER, SEAL_PROOF = 1000, 1, 5


def in_thread(call: Any) -> Any:
    return database_sync_to_async(call, thread_sensitive=False)


@pytest.fixture
def sector(tmp_path: Path) -> tuple[Stores, bytes]:
    """A store with one sealed sector, and its comm_r."""
    made = sealing("2k_v1_1", SEAL_PROOF, folder=tmp_path)
    _, _, output = made.to_pc2()
    stores, store = Stores(tmp_path, (tmp_path / "store",)), Store(tmp_path / "store")
    stores.open()
    files = store.files(seal_parameters(SEAL_PROOF), miner_id=MINER, number=NUMBER)
    files.sealed.parent.mkdir(parents=True)
    shutil.move(made.sealed, files.sealed)
    shutil.move(made.cache, files.cache)
    return stores, output.comm_r


@pytest.fixture
def token(transactional_db: None) -> str:
    miner_grant(tenant=people.tenant("alice"), actor_id=MINER)
    return people.token("read", scopes=["prover"])


def request_of(comm_r: bytes) -> dict[str, Any]:
    info = {
        "SealProof": SEAL_PROOF,
        "SectorNumber": NUMBER,
        "SectorKey": None,
        "SealedCID": cid_to_json(commr_cid(comm_r)),
    }
    return {"SectorInfos": [info], "Rand": "Bw" + 40 * "A" + "A=", "Height": 10, "NWVersion": 27}


@contextlib.asynccontextmanager
async def listening(web: Any, token: str, stores: Stores, **options: Any) -> AsyncIterator[ProverConnection]:
    """A prover that the hub has taken."""

    def compute(miner: int, request: Any) -> Any:
        return compute_proof(request, stores=stores, miner_id=miner, prove=winning_post.run)

    url = gateway_url(web.url.removesuffix("/rpc/v1"))
    line = ProofLine(
        url=url, token=lambda: token, miners=stores.miners, compute=options.get("compute", compute)
    )
    line.start()
    try:
        yield await connected_row()
    finally:
        await asyncio.to_thread(line.stop)


async def connected_row() -> ProverConnection:
    row: ProverConnection | None = None
    async with asyncio.timeout(60):
        while row is None:
            row = await in_thread(lambda: provers_connected(SYSTEM).first())()
            await asyncio.sleep(0.05)
    return row
