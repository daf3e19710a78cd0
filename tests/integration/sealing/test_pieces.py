"""Clients' data from an upload to an active sector and back, on a real chain with its registry and market."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from apps.chain.models import Head
from apps.chain.node.client import chain_client
from apps.chain.selectors.network import network_current
from apps.core import clock
from apps.messages.models import Message
from apps.miners.models import Miner
from apps.pieces.models import Piece
from apps.sectors.models import ClaimsEnding, Sector
from apps.sectors.selectors.sealing_context import sealing_context_make
from apps.sectors.services.changes.claims_ending import ENDING_S, claims_ending_follow
from apps.sectors.services.sealing.steps import sector_abort
from apps.users.models import AuditEntry
from tests.integration.sealing.pieces import (
    LARGE,
    SMALL,
    add,
    allocation,
    at_once,
    come_back_unsealed,
    data_of,
    killed_often,
)
from tests.integration.sealing.world import PERIOD, SKIP, WINDOW, World, fresh

__all__ = ["at_once"]


def test_pieces_are_packed_sealed_and_claimed_and_come_back(world: World) -> None:
    miner = world.miner_create()
    small, large = add(world, miner, SMALL), add(world, miner, LARGE)
    client, number = allocation(world, miner, large.piece_cid, 1024)
    Piece.objects.filter(pk=large.pk).update(client=client, allocation=number)

    world.until(lambda: Sector.objects.exists(), epochs=5)
    sector = Sector.objects.get()
    large.refresh_from_db()
    small.refresh_from_db()
    assert [(one.state, one.sector_number, one.offset) for one in (large, small)] == [
        ("PACKED", sector.number, 0),
        ("PACKED", sector.number, 1024),
    ]
    world.until(lambda: fresh(sector).active, epochs=PERIOD + WINDOW + 40, stride=SKIP)
    world.epoch(2)

    assert {piece.state for piece in Piece.objects.all()} == {"ACTIVE"}
    info = world.ask("StateSectorGetInfo", miner.address, sector.number, None)
    assert int(info["VerifiedDealWeight"]) > 0
    assert int(info["DealWeight"]) > 0
    (claim,) = world.ask("StateGetClaims", miner.address, None).values()
    assert (claim["Data"]["/"], claim["Sector"]) == (large.piece_cid, sector.number)
    assert world.ask("StateGetAllocations", f"f0{client}", None) == {}
    claims_that_end_are_known(miner, sector, claim)
    assert data_of(world, large) == LARGE
    assert data_of(world, small, Range="bytes=5-9") == SMALL[5:10]
    come_back_unsealed(world, sector, large=large, small=small)
    assert AuditEntry.objects.filter(action="sector.unsealed-remove").count() == 1
    kinds = list(Message.objects.filter(kind__in=["precommit", "commit"]).values_list("kind", flat=True))
    assert sorted(kinds) == ["commit", "precommit"]


def claims_that_end_are_known(miner: Miner, sector: Sector, claim: dict[str, Any]) -> None:
    """A claim is named in its last 30 days, as long as its sector counts."""
    work = sealing_context_make(
        client=chain_client(), network=network_current(), head=Head.objects.latest("height"), now=clock.now()
    )
    ends = claim["TermStart"] + claim["TermMax"]
    month = ENDING_S // work.network.epoch_s
    for height, state, count in (
        (ends - month - 1, "PROVING", 0),
        (ends - month, "PROVING", 1),
        (ends - month, "TERMINATED", 0),
        (ends, "PROVING", 1),
        (ends + 1, "PROVING", 0),
    ):
        Sector.objects.filter(pk=sector.pk).update(state=state)
        ClaimsEnding.objects.all().delete()
        later = replace(work, head=Head(key=work.head.key, height=height))
        assert claims_ending_follow(later) == 1
        assert claims_ending_follow(later) == 0, "not again within the hour"
        row = ClaimsEnding.objects.get()
        assert (row.miner, row.count) == (miner, count)
        if count:
            assert (row.size, row.sector_number, row.end_epoch) == (1024, sector.number, ends)
    Sector.objects.filter(pk=sector.pk).update(state="PROVING")
    ClaimsEnding.objects.update(count=1, due_at=work.now)
    Miner.objects.filter(pk=miner.pk).update(qa_power=0, raw_power=0)
    assert claims_ending_follow(replace(work, head=Head(key=work.head.key, height=ends + 1))) == 1
    assert ClaimsEnding.objects.get().count == 0, "the last claim has ended, and no power is left of it"


def test_two_allocations_of_one_piece_are_two_places_and_two_claims(world: World) -> None:
    miner = world.miner_create()
    cid = str(add(world, miner, LARGE).piece_cid)
    Piece.objects.all().delete()
    client, last = allocation(world, miner, cid, 1024, count=2)
    terms: list[dict[str, Any]] = [
        {"client": f"f0{client}", "allocation": number} for number in (last - 1, last)
    ]

    first, second = (add(world, miner, LARGE, **each) for each in terms)
    assert first.pk != second.pk
    path = f"/api/v1/miners/{miner.address}/pieces"
    again = world.console._client.post(path, params=terms[1], content=LARGE)
    assert again.json()["uuid"] == str(second.uuid), "the same under the same terms"
    unclaimed = world.console._client.post(path, content=LARGE)
    assert unclaimed.json()["uuid"] == str(first.uuid), "without terms it is one of them"

    world.until(lambda: Sector.objects.filter(active=True).exists(), epochs=PERIOD + WINDOW + 40, stride=SKIP)
    world.epoch(2)
    sector = Sector.objects.get()
    assert set(Piece.objects.values_list("state", "sector_number", "offset")) == {
        ("ACTIVE", sector.number, 0),
        ("ACTIVE", sector.number, 1024),
    }
    claims = world.ask("StateGetClaims", miner.address, None).values()
    assert [(claim["Data"]["/"], claim["Sector"]) for claim in claims] == [(cid, sector.number)] * 2
    assert world.ask("StateGetAllocations", f"f0{client}", None) == {}
    assert data_of(world, second) == LARGE


def test_allocation_that_expires_after_the_pre_commit_costs_no_sector(world: World) -> None:
    miner = world.miner_create()
    small, large = add(world, miner, SMALL), add(world, miner, LARGE)
    end = world.node.devnet.head.height + 40
    client, number = allocation(world, miner, large.piece_cid, 1024, expiration=end)
    Piece.objects.filter(pk=large.pk).update(client=client, allocation=number)
    world.until(lambda: Sector.objects.filter(state="PRECOMMIT_LANDED").exists(), epochs=30)
    sector = Sector.objects.get()

    world.epoch(40, stride=40)
    world.until(lambda: fresh(sector).active, epochs=PERIOD + WINDOW + 40, stride=SKIP)
    world.epoch(2)

    large.refresh_from_db()
    expired = f"allocation {number} of f0{client} expired before the sector was committed: stored without it"
    assert (large.state, large.allocation, large.terms_epoch, large.error) == ("ACTIVE", None, None, expired)
    info = world.ask("StateSectorGetInfo", miner.address, sector.number, None)
    assert int(info["VerifiedDealWeight"]) == 0
    assert int(info["DealWeight"]) > 0
    assert not world.ask("StateGetClaims", miner.address, None)
    assert [data_of(world, piece) for piece in (large, small)] == [LARGE, SMALL]
    assert Sector.objects.count() == 1


def test_a_host_killed_before_each_report_does_no_stage_twice(world: World) -> None:
    miner = world.miner_create()
    runs = killed_often(world)
    piece = add(world, miner, LARGE)

    world.until(lambda: Sector.objects.filter(active=True).exists(), epochs=2 * PERIOD, stride=SKIP)
    world.epoch(2)
    sector = Sector.objects.get()
    world.console._client.delete(f"/api/v1/sectors/{sector.uuid}/unsealed")
    assert world.console._client.get(f"/api/v1/pieces/{piece.piece_cid}/data").status_code == 202
    world.hosts_work()

    assert data_of(world, piece) == LARGE
    assert {name: count for name, count in runs.items() if name != "window_post"} == dict.fromkeys(
        ("add_piece", "tree_d", "pc1", "pc2", "c1", "c2", "unseal"), 1
    )
    kinds = Message.objects.filter(kind__in=["precommit", "commit"]).values_list("kind", flat=True)
    assert sorted(kinds) == ["commit", "precommit"]


def test_a_piece_of_an_aborted_sector_goes_into_another(world: World) -> None:
    miner = world.miner_create()
    piece = add(world, miner, SMALL)
    world.until(lambda: Sector.objects.exists(), epochs=5)
    first = Sector.objects.get()

    sector_abort(first, actor="ann", reason="lost", now=clock.now())
    world.until(lambda: Sector.objects.count() == 2, epochs=5)

    piece.refresh_from_db()
    assert (piece.state, piece.sector_number) == ("PACKED", Sector.objects.latest("pk").number)


def test_nothing_is_sealed_for_what_the_chain_would_refuse(world: World) -> None:
    miner = world.miner_create()
    unknown = add(world, miner, SMALL, client="f0100", allocation=9)
    late = add(world, miner, LARGE)
    Piece.objects.filter(pk=late.pk).update(start_epoch=1)  # so late it is no more taken
    undealt = add(world, miner, SMALL * 2, deal=77)

    def states() -> list[str]:
        for piece in (unknown, late, undealt):
            piece.refresh_from_db()
        return [piece.state for piece in (unknown, late, undealt)]

    world.epoch(2)
    assert states() == ["READY", "FAILED", "READY"], "a reorganisation may bring them back"
    world.until(lambda: set(states()) == {"FAILED"}, epochs=network_current().chain_finality + 2)

    assert unknown.error == "allocation 9 of f0100 does not exist"
    assert late.error == "it had to be active by epoch 1, which has passed"
    assert undealt.error == "deal 77 does not exist"
    assert not Sector.objects.exists()


def test_data_that_another_miner_has_with_fewer_zeros_is_sealed(world: World) -> None:
    first, second = world.miner_create(), world.miner_create("another-miner")
    padded = SMALL + bytes(127 - len(SMALL))
    pieces = [add(world, first, SMALL), add(world, second, padded)]
    assert len({piece.piece_cid for piece in pieces}) == 1

    world.until(lambda: Sector.objects.exclude(ticket=None).count() == 2, epochs=20)
