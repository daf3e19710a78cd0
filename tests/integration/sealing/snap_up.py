"""Acts on a sector over REST, copies found bad, and epochs until a run is in a state."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from apps.sectors.models import PipelineRun, Sector, SectorCopy, Store
from apps.sectors.services.files.copies import copy_note
from tests.integration.sealing.world import PERIOD, SKIP, World, fresh


def act(world: World, sector: Sector, verb: str, **options: Any) -> Any:
    client = world.line_to_console(options.pop("perm", "sign"))._client
    return client.post(f"/api/v1/sectors/{sector.uuid}/{verb}", **options)


def copy_found(sector: Sector) -> None:
    """A check finds the sector bad in its store, whatever replica it has then."""
    row = fresh(sector)
    store, _ = Store.objects.get_or_create(
        name=row.store, tenant_id=row.tenant_id, defaults={"uid": row.store}
    )
    copy_note(sector, store=store, files=[], now=timezone.now())
    assert SectorCopy.objects.filter(sector=sector, condition="BAD").exists()


def run_reach(world: World, state: str) -> None:
    """Advance epochs until the newest run is there; raise what it says if it does not come."""
    for _ in range(0, 2 * PERIOD, SKIP):
        run = PipelineRun.objects.latest("created_at")
        assert run.paused_at is None, (run.state, run.error)
        if run.state == state:
            return
        world.epoch(SKIP, stride=SKIP)
    raise AssertionError((run.state, run.error, run.job.state, run.job.error, run.message_id))
