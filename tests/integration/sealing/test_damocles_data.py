"""Clients' data in sectors that damocles-workers seal, on a real chain, from the upload and back."""

from __future__ import annotations

from apps.pieces.models import Piece
from apps.sectors.models import DamoclesSector, Job, Sector, Worker
from tests.integration.sealing.damocles import outside, sealed
from tests.integration.sealing.damocles_worker import NAME, DamoclesWorker
from tests.integration.sealing.pieces import LARGE, SMALL, add, allocation, at_once, come_back_unsealed
from tests.integration.sealing.world import PERIOD, SKIP, WINDOW, World, fresh

__all__ = ["at_once", "outside"]


def packed(world: World) -> Sector:
    """A sector that the console has packed with two pieces, one of them under an allocation."""
    miner = world.miner_create()
    add(world, miner, SMALL)
    large = add(world, miner, LARGE)
    client, number = allocation(world, miner, large.piece_cid, 1024)
    Piece.objects.filter(pk=large.pk).update(client=client, allocation=number)
    world.until(lambda: Sector.objects.exists(), epochs=5)
    return Sector.objects.get()


def test_clients_data_are_sealed_by_a_damocles_worker_and_active(
    world: World, outside: DamoclesWorker
) -> None:
    sector = packed(world)
    large, small = Piece.objects.order_by("offset")
    outside.ping()

    outside.work(until="DealsAcquired")
    again = outside.call("AcquireDeals", outside.sector["ID"], {"MaxDeals": 1, "MinUsedSpace": None})
    assert again == outside.deals, "the same, asked again"
    assert [(one["Piece"]["Size"], one["DealInfo"]["Offset"]) for one in again] == [
        *((1024, 0), (128, 1024), (128, 1152), (256, 1280), (512, 1536)),
    ]
    first, second, *zeros = [one["DealInfo"] for one in again]
    assert (first["AllocationID"], first["Client"]) == (large.allocation, f"f0{large.client}")
    assert (first["PayloadSize"], second["PayloadSize"]) == (len(LARGE), len(SMALL))
    assert second["AllocationID"] == small.pk, "a worker fetches nothing without a number"
    assert {(one["DealID"], one["AllocationID"], one["PayloadSize"]) for one in zeros} == {(0, 0, 0)}
    sealed(world, outside, "Finished")

    done = fresh(sector)
    assert (done.state, done.store) == ("PROVING", world.store.name())
    assert Job.objects.get(sector=sector).sticky_worker == Worker.objects.get(name=NAME)
    del world.hosts_work  # the pool's own hosts again
    world.until(lambda: fresh(sector).active, epochs=PERIOD + WINDOW, stride=SKIP)
    world.epoch(2)
    assert set(Piece.objects.values_list("state", "sector_number")) == {("ACTIVE", sector.number)}
    (claim,) = world.ask("StateGetClaims", done.miner.address, None).values()
    assert (claim["Data"]["/"], claim["Sector"]) == (large.piece_cid, sector.number)
    come_back_unsealed(world, sector, large=large, small=small)


def test_a_worker_that_takes_no_data_loses_the_sector_and_gets_zeros(
    world: World, outside: DamoclesWorker
) -> None:
    sector = packed(world)
    outside.enable_deals = False
    outside.ping()

    outside.work(until="DealsAcquired")

    assert outside.state == "Empty", "it was told to wipe it"
    job = Job.objects.get(sector=sector)
    assert (fresh(sector).state, job.state, job.sticky_worker) == ("ALLOCATED", "READY", None)
    assert "enable_deals" in job.events.get(event="LEASE_OVER").note
    assert not DamoclesSector.objects.exists()
    assert outside.call("AllocateSector", {"AllowedMiners": [], "AllowedProofTypes": []}) is None
    assert Worker.objects.get(name=NAME).refuses_data
