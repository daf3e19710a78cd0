"""Files of sectors that the chain has ended: offered once that is final, removed by their hosts, for good."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from django.test import TestCase
from django.urls import reverse

from apps.chain.selectors.network import network_current
from apps.checks.report.evaluate import evaluate
from apps.checks.selectors.data import CheckData
from apps.miners.models import Miner
from apps.sectors.models import Batch, JobEvent, Sector, WorkerCommand
from apps.users.models import AuditEntry
from tests.integration.sealing.changes import TERMINATE, ask
from tests.integration.sealing.world import PERIOD, World, fresh
from tests.page_client import signed_in, text_of
from tests.people import person, principal
from workers.agent.places import SealingPlaces
from workers.agent.removal import Removals

pytestmark = pytest.mark.xdist_group("pair")  # one worker seals the two sectors


def files_of(world: World, sector: Sector) -> list[Path]:
    name = f"s-t0{sector.miner.actor_id}-{sector.number}"
    return [path for kind in ("sealed", "cache") if (path := world.store.root / kind / name).exists()]


def hosts_remove(world: World) -> None:
    """Send a heartbeat of the host and carry out its orders in their thread, as the product does."""
    journal = world.agent.journal
    places = SealingPlaces(world.folder / "sealer", journal)
    removals = Removals(places=places, stores=world.stores, journal=journal)
    world.agent.leases.files_remove = removals.remove
    end = time.monotonic() + 60
    while WorkerCommand.objects.filter(op="remove", done_at=None).exists():
        assert time.monotonic() < end
        world.agent.leases.heartbeat()
        time.sleep(0.05)


def terminated(world: World, sectors: list[Sector]) -> int:
    """Terminate them; return the height from which their end is final."""
    ask(sectors, TERMINATE)
    world.until(lambda: {fresh(one).state for one in sectors} == {"TERMINATED"}, epochs=PERIOD)
    landed = Batch.objects.filter(kind="terminate").latest("landed_height").landed_height
    return int(landed or 0) + network_current().chain_finality


def test_files_go_when_the_end_is_final_and_somebody_says_so(
    world: World, pair: tuple[Miner, list[Sector]]
) -> None:
    miner, (one, other) = pair
    path = f"/api/v1/sectors/{one.uuid}/remove-files"
    client = world.line_to_console("sign")._client
    assert client.post(path, json={}).json()["code"] == "files_kept"
    final = terminated(world, [one, other])
    person("ann", of="alice")
    browser = signed_in("ann")
    page = reverse("sectors-remove-files")

    early = client.post(path, params={"dry_run": "true"}, json={}).json()
    assert (early["bytes"], early["sectors"][0]["refusal"]) == (
        0,
        f"its termination is final at epoch {final}",
    )
    assert "No ended sectors have files left" in text_of(browser.get(page))
    world.epoch(final - world.height)

    report = evaluate(CheckData(principal("alice")))
    [found] = next(result for result in report.results if result.check.name == "files_of_ended").findings
    assert found.say == "files left from 2 sectors that ended"
    plan = client.post(path, params={"dry_run": "true"}, json={}).json()
    assert (plan["bytes"], plan["sectors"][0]["hosts"]) == (miner.sector_size, ["sealer-1"])
    assert not WorkerCommand.objects.filter(op="remove").exists()
    with TestCase.captureOnCommitCallbacks(execute=True):
        assert client.post(path, json={"reason": "full"}).status_code == 200
    assert client.post(path, json={}).json()["message"] == "its hosts were already told to remove its files"
    assert "Remove files of 1 sector" in text_of(browser.get(page))
    sure = {"id": str(other.uuid), "sure": "yes", "count": "1", "reason": "full"}
    assert browser.post(page, {**sure, "confirm": "remove"}).status_code == 422
    done = browser.post(page, {**sure, "confirm": "remove 1"})
    assert done.headers["Location"] == reverse("sector", args=[other.uuid])
    assert AuditEntry.objects.filter(action="sector.remove-files").count() == 2

    assert files_of(world, one)
    hosts_remove(world)
    assert not files_of(world, one) + files_of(world, other)
    assert JobEvent.objects.filter(event="FILES_REMOVED").count() == 2
    assert "its hosts were told to remove its files" in text_of(
        browser.get(reverse("sector", args=[one.uuid]))
    )
    assert fresh(one).state == "TERMINATED"
