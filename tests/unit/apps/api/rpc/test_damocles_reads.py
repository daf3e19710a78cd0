"""What damocles' own command line asks a manager: sectors, stores, randomness, records; one's own alone."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.core import clock
from apps.sectors.models import DamoclesSector, PipelineRun, Sector
from apps.sectors.selectors.sector_records import record_of
from poolsite.filecoin.randomness import Tag
from poolsite.wire.jobs import JobKind
from poolsite.wire.pipeline import SnapState
from tests import factories, people
from tests.unit.apps.api.rpc.damocles_line import Line, named
from tests.unit.apps.sectors.sector_records import forget, sealed

pytestmark = pytest.mark.django_db


@pytest.fixture
def line(client: Client) -> Line:
    return Line(client, people.token("sign", of="alice"))


def numbers(found: list[dict[str, Any]]) -> list[int]:
    return sorted(one["ID"]["Number"] for one in found)


def test_sectors_are_listed_and_found_as_the_manager_has_them(line: Line, client: Client) -> None:
    done = sealed()
    under_way = factories.sector(done.miner, state="PC1_DONE")
    factories.sector(factories.miner(2002, of="bob"))
    piece = json.loads(json.dumps(record_of(done)))["Pieces"][0]["Piece"]["PieceCID"]

    assert line.call("Version") == "0.13.1"
    assert numbers(line.call("ListSectors", "online", 0)) == [under_way.number]
    assert numbers(line.call("ListSectors", "offline", 1)) == [done.number]
    assert line.call("ListSectors", "online", 2) == line.call("ListSectors", "online", 4) == []
    assert line.call("FindSector", "offline", named(done)) == record_of(done)
    assert line.code("FindSector", "online", named(done)) == 1
    assert line.code("ListSectors", "nowhere", 0) == 1
    assert line.call("FindSectorInAllStates", named(under_way))["Finalized"] is False
    assert numbers(line.call("FindSectorsWithDeal", "offline", 44)) == [done.number]
    assert line.call("FindSectorsWithDeal", "offline", 45) == []
    assert line.call("FindSectorWithPiece", "offline", piece)["ID"] == named(done)
    assert line.code("FindSectorWithPiece", "online", piece) == 1
    Sector.objects.filter(pk=done.pk).update(store="cold")
    found = {"SealedFile": "cold", "CacheDir": "cold"}
    assert line.call("SectorIndexerFind", "normal", named(done)) == {"Found": True, "Instance": found}
    assert line.call("SectorIndexerFind", "upgrade", named(done))["Found"] is False
    stranger = Line(client, people.token("sign", of="bob"))
    assert stranger.code("FindSectorInAllStates", named(done)) == 1
    assert done.number not in numbers(stranger.call("ListSectors", "offline", 0))


def pieces_read(line: Line, method: str, *params: Any) -> int:
    with CaptureQueriesContext(connection) as seen:
        line.call(method, *params)
    return sum('FROM "pieces_piece"' in one["sql"] for one in seen)


def test_pieces_of_all_sectors_are_read_in_one_query(line: Line) -> None:
    first = sealed()
    for _ in range(3):
        Sector.objects.filter(pk=factories.sector(first.miner).pk).update(pieces=first.pieces)
    factories.sector(first.miner)  # of zeros

    assert pieces_read(line, "ListSectors", "online", 0) == 1
    Sector.objects.update(pieces=[])
    assert pieces_read(line, "ListSectors", "online", 0) == 0, "sectors of zeros have none"


def run_of(sector: Sector, state: str) -> None:
    job = factories.proof_job(sector.miner, worker=factories.worker(), state="DONE", lease_until=None)
    run = {"kind": JobKind.SNAP_UP, "state": state, "state_since": clock.now(), "actor": "ann"}
    PipelineRun.objects.create(sector=sector, job=job, **run)


def test_a_snap_up_is_online_while_one_is_open(line: Line) -> None:
    miner = factories.miner(2001, of="alice")
    again, over, never = (factories.sector(miner, state="PROVING") for _ in range(3))
    for sector in (again, over):
        run_of(sector, SnapState.SNAP_ABORTED)
    run_of(again, SnapState.SNAP_ENCODED)

    assert numbers(line.call("ListSectors", "online", 2)) == [again.number]
    assert numbers(line.call("ListSectors", "offline", 2)) == [over.number]
    assert never.number in numbers(line.call("ListSectors", "offline", 0))


def test_a_deal_of_anothers_piece_is_nobodys_here(line: Line) -> None:
    own, theirs = factories.miner(2001, of="alice"), factories.miner(2002, of="bob")
    placed: dict[str, Any] = {"state": "ACTIVE", "deal": 44, "offset": 0}
    mine = factories.sector(own, number=5)
    factories.piece(own, sector_number=5, **placed)
    factories.piece(theirs, sector_number=5, **placed)

    with CaptureQueriesContext(connection) as seen:
        assert numbers(line.call("FindSectorsWithDeal", "online", 44)) == [mine.number]

    [asked] = [one["sql"] for one in seen if 'FROM "pieces_piece"' in one["sql"]]
    assert '"tenant_id"' in asked


def test_a_record_fills_in_what_is_not_known(line: Line, client: Client) -> None:
    sector = sealed()
    record = json.loads(json.dumps(record_of(sector)))
    forget(sector)

    assert line.code("ImportSector", "offline", record, True) == 1, "what is known is never replaced"
    assert line.call("ImportSector", "offline", record, False) is True
    assert line.call("ImportSector", "offline", record, False) is False
    assert bytes(Sector.objects.get().ticket or b"") == bytes(sector.ticket or b"")
    reader = Line(client, people.token("read", of="alice"))
    assert "missing permission" in reader.answer("ImportSector", "offline", record, False)["error"]["message"]


def test_stores_are_listed_with_what_is_kept_free(line: Line) -> None:
    store = factories.store(factories.worker("prover-1", of="alice"), "cold")
    sector = factories.sector(factories.miner(2001, of="alice"), state="PC2_DONE")
    DamoclesSector.objects.create(sector=sector, reserved_store="cold", reserved_bytes=4096)

    [found] = line.call("StoreList")

    assert (found["Name"], found["Path"], found["Total"]) == ("cold", "/mnt/cold", store.total_bytes)
    assert (found["Used"], found["UsedPercent"], found["Reserved"]) == (1 << 39, 50.0, 4096)
    assert [(one["By"], one["Size"]) for one in found["ReservedBy"]] == [(f"s-t02001-{sector.number}", 4096)]
    Sector.objects.filter(pk=sector.pk).update(store="cold")
    assert line.call("StoreList")[0]["Reserved"] == 0, "its files are there, and count as used"
    Sector.objects.filter(pk=sector.pk).update(store="")
    assert line.call("StoreReleaseReserved", named(sector)) is True
    assert line.call("StoreReleaseReserved", named(sector)) is False
    assert line.call("StoreList")[0]["ReservedBy"] == []


def test_randomness_is_the_chains(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    factories.miner(2001, of="alice")
    asked: list[tuple[str, int, int, bool, str]] = []

    class Chain:
        def state_get_randomness_from_tickets(
            self, tag: int, epoch: int, *, entropy: bytes, key: str
        ) -> bytes:
            asked.append(("tickets", tag, epoch, bool(entropy), key))
            return bytes([1]) * 32

        def state_get_randomness_from_beacon(
            self, tag: int, epoch: int, *, entropy: bytes, key: str
        ) -> bytes:
            asked.append(("beacon", tag, epoch, bool(entropy), key))
            return bytes([2]) * 32

    monkeypatch.setattr("apps.api.rpc.services.damocles.reads.chain_client", Chain)
    one, two = (b64encode(bytes([byte]) * 32).decode() for byte in (1, 2))
    cid = factories.piece_cid(3)

    assert line.call("GetTicket", None, 100, 2001) == {"Ticket": one, "Epoch": 100}
    assert line.call("GetSeed", [{"/": cid}], 101, 2001) == {"Seed": two, "Epoch": 101}
    assert line.call("GetWindowPoStChanlleengeRand", [], 102, 2001) == {"Epoch": 102, "Rand": two}
    assert line.call("GetWindowPoStCommitRand", [], 103) == {"Epoch": 103, "Rand": one}
    assert asked == [
        ("tickets", Tag.SEAL_RANDOMNESS, 100, True, ""),
        ("beacon", Tag.INTERACTIVE_SEAL_CHALLENGE_SEED, 101, True, cid),
        ("beacon", Tag.WINDOWED_POST_CHALLENGE_SEED, 102, True, ""),
        ("tickets", Tag.POST_CHAIN_COMMIT, 103, False, ""),
    ]
    assert line.code("GetTicket", None, 100, 2002) == 1, "not a miner of the caller's"
