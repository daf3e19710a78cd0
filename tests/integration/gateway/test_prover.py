"""The prover at the hub: it listens for the miners of its store and answers with real WinningPoSts."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from channels.db import database_sync_to_async

from apps.gateway.selectors import provers_connected
from apps.gateway.services.connection_test import connection_end, prover_test
from apps.users.principals import SYSTEM
from apps.users.services.access import access_change_publish
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

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from apps.gateway.models import ProverConnection

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
    line = ProofLine(url=url, token=token, miners=stores.miners, compute=options.get("compute", compute))
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


async def test_a_test_proof_is_a_real_one_that_holds(web, token, sector):
    stores, comm_r = sector

    async with listening(web, token, stores) as row:
        finding = await in_thread(lambda: prover_test(row, request_of(comm_r)))()
        other = await in_thread(lambda: prover_test(row, request_of(bytes(32))))()

    assert (finding.is_good, finding.words.endswith("and the proof holds")) == (True, True), finding
    assert row.actor_id == MINER
    assert not other.is_good


async def test_a_proof_of_something_else_is_found_out(web, token, sector):
    stores, comm_r = sector
    other = request_of(comm_r) | {"Rand": "CQ" + 40 * "A" + "A="}

    def compute(miner: int, _request: Any) -> Any:
        return compute_proof(other, stores=stores, miner_id=miner, prove=winning_post.run)

    async with listening(web, token, stores, compute=compute) as row:
        finding = await in_thread(lambda: prover_test(row, request_of(comm_r)))()

    assert not finding.is_good
    assert finding.words.startswith("its proof does not hold")


async def test_what_cannot_be_proven_is_refused_and_the_next_is_answered(web, token, sector):
    stores, comm_r = sector
    good, bad = request_of(comm_r), request_of(comm_r)
    bad["SectorInfos"][0]["SectorNumber"] = 9

    async with listening(web, token, stores) as row:
        for request in (bad, {**good, "SectorInfos": []}, {**good, "Rand": 7}, {}):
            finding = await in_thread(lambda request=request: prover_test(row, request))()
            assert not finding.is_good
        assert (await in_thread(lambda: prover_test(row, good))()).is_good


async def test_transferred_miner_is_not_proved_by_the_old_tenants_prover(web, token, sector):
    stores, comm_r = sector
    admin = await in_thread(people.operator_token)()
    request = request_of(comm_r)
    params = [f"f0{MINER}", request["SectorInfos"], request["Rand"], 10, 27]
    body = {"jsonrpc": "2.0", "id": 1, "method": "Gateway.ComputeProof", "params": params}
    async with (
        listening(web, token, stores),
        httpx.AsyncClient(headers=people.bearer(admin), timeout=60) as client,
    ):
        assert (await client.post(web.url, json=body)).json()["result"]

        await in_thread(lambda: miner_grant(tenant=people.tenant("bob"), actor_id=MINER))()

        refused = (await client.post(web.url, json=body)).json()
        assert "no connections for this miner" in refused["error"]["message"]


async def test_the_channel_of_a_miner_that_went_ends_and_is_not_opened_again(web, token, sector, monkeypatch):
    monkeypatch.setattr("apps.api.rpc.callers.REGULAR_S", 300.0)  # nobody looks without being told
    stores, _ = sector
    bob = await in_thread(people.tenant)("bob")

    async with listening(web, token, stores) as row:
        await in_thread(access_change_publish)()
        await asyncio.sleep(0.5)
        assert [one.pk for one in await in_thread(lambda: list(provers_connected(SYSTEM)))()] == [row.pk]

        await in_thread(lambda: miner_grant(tenant=bob, actor_id=MINER))()
        await in_thread(access_change_publish)()

        async with asyncio.timeout(60):
            while await in_thread(lambda: provers_connected(SYSTEM).exists())():
                await asyncio.sleep(0.02)
        await asyncio.sleep(2)
        assert not await in_thread(lambda: provers_connected(SYSTEM).exists())()


async def test_a_closed_channel_is_opened_again(web, token, sector):
    stores, comm_r = sector

    async with listening(web, token, stores) as row:
        first = row.pk
        await in_thread(lambda: connection_end(principal=SYSTEM, row=row))()
        async with asyncio.timeout(60):
            while (row := await connected_row()).pk == first:
                await asyncio.sleep(0.05)
        assert (await in_thread(lambda: prover_test(row, request_of(comm_r)))()).is_good


def test_a_store_names_its_miners(tmp_path):
    store = Store(tmp_path)
    assert store.miners() == set()
    for name in ("s-t01000-1", "s-t01000-2", "s-t01001-7", "other", "s-t0x-1"):
        (tmp_path / "sealed").mkdir(exist_ok=True)
        (tmp_path / "sealed" / name).touch()

    assert store.miners() == {1000, 1001}


@pytest.mark.parametrize(
    ("console", "url"),
    [
        ("http://127.0.0.1:8000", "ws://127.0.0.1:8000/rpc/v1"),
        ("https://pool.example/", "wss://pool.example/rpc/v1"),
    ],
)
def test_the_gateway_stands_at_the_console(console, url):
    assert gateway_url(console) == url
