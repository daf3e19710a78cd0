"""What damocles' command line asks of proven sectors: their files, and which of them can take data."""

from __future__ import annotations

from typing import Any, cast

import pytest
from django.test import Client

from apps.miners.models import Miner
from apps.sectors.models import Sector
from apps.sectors.rules.policy import SealingPolicy
from apps.sectors.selectors.sealing_context import SealingContext
from poolsite.filecoin.bitfield import bitfield_from_json
from poolsite.filecoin.sha254 import sha254_zero
from tests import factories, people
from tests.unit.apps.api.rpc.damocles_line import Line, named
from tests.unit.apps.sectors.sealing import DIGEST, NOON
from tests.unit.apps.sectors.snap_up import HEIGHT, NETWORK, Registry

pytestmark = pytest.mark.django_db

PLACE = "apps.api.rpc.services.damocles.proven"


@pytest.fixture
def line(client: Client) -> Line:
    return Line(client, people.token("read", of="alice"))


@pytest.fixture
def miner() -> Miner:
    return factories.miner(2001, of="alice", sector_size=2048, seal_proof=5)


def proven(miner: Miner, number: int, **facts: Any) -> Sector:
    made: dict[str, Any] = {
        "expiration": HEIGHT + 50_000,
        "ticket": DIGEST,
        "comm_d": sha254_zero(2048),
        "comm_r": DIGEST,
    }
    return factories.sector(miner, number=number, state="PROVING", active=True, **(made | facts))


def refusal(line: Line, method: str, *params: Any) -> str:
    error = line.answer(method, *params)["error"]
    assert error["code"] == 1
    return str(error["message"])


def test_a_proving_sector_is_shown_with_its_places(
    line: Line, client: Client, miner: Miner, monkeypatch: pytest.MonkeyPatch
) -> None:
    factories.store(factories.worker("prover-1", of="alice"), "cold")
    sector, lost = proven(miner, 5, store="cold"), proven(miner, 6)
    chain: dict[int, Any] = {number: {"SectorNumber": number, "SectorKeyCID": None} for number in (5, 6)}

    class Chain:
        def call(self, method: str, address: str, number: int, _key: Any) -> Any:
            assert (method, address) == ("StateSectorGetInfo", miner.address)
            return chain.get(number)

    monkeypatch.setattr(f"{PLACE}.chain_client", Chain)

    found = line.call("ProvingSectorInfo", named(sector))

    assert found["OnChain"] == chain[5]
    private = found["Private"]
    assert private["Accesses"] == {"SealedFile": "cold", "CacheDir": "cold"}
    assert private["SealedSectorPath"] == private["SealedSectorURI"] == "/mnt/cold/sealed/s-t02001-5"
    assert private["CacheDirPath"] == private["CacheDirURI"] == "/mnt/cold/cache/s-t02001-5"
    chain[5] = chain[5] | {"SectorKeyCID": {"/": factories.cid("a")}}
    assert (
        line.call("ProvingSectorInfo", named(sector))["Private"]["CacheDirURI"].split("/")[3]
        == "update-cache"
    )
    assert "no store has the files" in refusal(line, "ProvingSectorInfo", named(lost))
    chain.clear()
    assert "the chain has no sector s-t02001-5" in refusal(line, "ProvingSectorInfo", named(sector))
    stranger = Line(client, people.token("read", of="bob"))
    assert "not a sector of this token" in refusal(stranger, "ProvingSectorInfo", named(sector))


def test_sectors_that_can_take_data_are_listed_by_deadline(
    line: Line, client: Client, miner: Miner, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = SealingContext(
        client=cast("Any", Registry()),
        network=NETWORK,
        head=factories.head(HEIGHT),
        now=NOON,
        policy=SealingPolicy(),
    )
    monkeypatch.setattr(f"{PLACE}.sealing_context_read", lambda: work)
    count = NETWORK.proving.deadlines
    middle = count // 2
    for number in (5, 9):
        proven(miner, number, deadline=middle)
    proven(miner, 6, deadline=0)  # its window is open: the chain changes nothing there now
    proven(miner, 7, deadline=middle, key_comm_r=DIGEST)
    proven(miner, 8, deadline=middle, expiration=HEIGHT + 1)

    found = line.call("SnapUpCandidates", 2001)

    assert (len(found), [at for at, one in enumerate(found) if one is not None]) == (count, [middle])
    assert list(bitfield_from_json(found[middle])) == [5, 9]
    assert line.call("SnapUpPreFetch", 2001, None) == {"Total": 2, "Diff": 0}
    assert line.call("SnapUpPreFetch", 2001, middle) == {"Total": 2, "Diff": 0}
    assert line.call("SnapUpPreFetch", 2001, 0) == {"Total": 0, "Diff": 0}
    assert refusal(line, "SnapUpPreFetch", 2001, count) == f"prefetch: there is no deadline {count}"
    stranger = Line(client, people.token("read", of="bob"))
    for method, more in (("SnapUpCandidates", []), ("SnapUpPreFetch", [None])):
        assert refusal(stranger, method, 2001, *more)


def test_unsealing_is_refused_with_where_the_bytes_are(line: Line, client: Client, miner: Miner) -> None:
    sector, cid = proven(miner, 5), factories.piece_cid(3)
    asked = [named(sector), {"/": cid}, 0, 2032, ""]

    assert f"/api/v1/pieces/{cid}/data" in refusal(line, "UnsealPiece", *asked)
    stranger = Line(client, people.token("read", of="bob"))
    assert "not a sector of this token" in refusal(stranger, "UnsealPiece", *asked)
