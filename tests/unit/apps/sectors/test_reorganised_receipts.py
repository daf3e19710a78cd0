"""Messages of sectors that a reorganisation landed anew, with an error: what they had done is undone."""

from __future__ import annotations

from typing import Any, Final

import pytest

from apps.messages.models import Tracker
from apps.sectors.models import Batch, Sector, SectorChange
from apps.sectors.rules.policy import SealingPolicy
from apps.sectors.selectors.sealing_context import SealingContext
from apps.sectors.services.batches.messages import batches_watch
from apps.sectors.services.changes import following
from apps.sectors.services.changes.following import changes_watch
from apps.sectors.states import BatchState
from poolsite.filecoin.policy import network_by_name
from tests import factories
from tests.unit.apps.sectors.sealing import NOON

pytestmark = pytest.mark.django_db

HEIGHT: Final = 1000


def work(height: int) -> SealingContext:
    """A pass at a height; the client is not asked."""
    network = network_by_name("localnet-poolsite-test")
    client: Any = None
    return SealingContext(
        client=client, network=network, head=factories.head(height), now=NOON, policy=SealingPolicy()
    )


def landed(kind: str, *, exit_code: int) -> Batch:
    """A batch that has landed, and what its message ended with on the branch that the chain took since."""
    batch = factories.batch(factories.miner(), kind, state=BatchState.LANDED, landed_height=990, exit_code=0)
    factories.message(batch.message_id, state="LANDED", exit_code=exit_code)
    return batch


@pytest.mark.parametrize(
    ("kind", "was", "becomes"),
    [
        ("precommit", "PRECOMMIT_LANDED", "PERSISTED"),
        ("precommit", "C1_DONE", "PERSISTED"),
        ("precommit", "PRECOMMIT_SENT", "PERSISTED"),
        ("commit", "COMMIT_LANDED", "C2_DONE"),
        ("commit", "PROVING", "C2_DONE"),
    ],
)
def test_sector_whose_message_failed_on_another_branch_is_sent_again(
    kind: str, was: str, becomes: str
) -> None:
    batch = landed(kind, exit_code=16)
    facts: dict[str, Any] = {
        "deadline": 0,
        "precommit_epoch": 990,
        "ticket_epoch": 900,
        f"{kind}_batch": batch,
    }
    sector = factories.sector(batch.miner, state=was, **facts)

    for height in (HEIGHT, HEIGHT + 1):
        batches_watch(work(height))

    sector.refresh_from_db()
    batch.refresh_from_db()
    assert (sector.state, batch.state, batch.exit_code) == (becomes, BatchState.FAILED, 16)
    assert "ended with" in batch.error


@pytest.mark.parametrize("kind", ["precommit", "commit", "extend"])
def test_branch_of_which_no_landing_is_known_yet_decides_nothing(kind: str) -> None:
    """Its head is followed first: the message may have landed on it otherwise, or not at all."""
    batch = factories.batch(factories.miner(), kind)
    factories.message(batch.message_id, state="LANDED", exit_code=16)
    tracker = Tracker.objects.create(pk=1, height=991)

    for state in (BatchState.SENT, BatchState.FAILED):
        batches_watch(work(HEIGHT))
        changes_watch(work(HEIGHT))
        batch.refresh_from_db()
        assert batch.state == state
        Tracker.objects.filter(pk=tracker.pk).update(height=HEIGHT)


def test_termination_that_failed_but_landed_on_another_branch_has_landed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(following, "live_sectors_read", lambda *_args, **_named: {})
    batch = factories.batch(factories.miner(), "terminate", state=BatchState.FAILED, exit_code=16)
    factories.message(batch.message_id, state="LANDED", exit_code=0)
    sector = factories.sector(batch.miner, state="PROVING")
    SectorChange.objects.create(
        sector=sector, kind="TERMINATE", state="TERMINATE_FAILED", batch=batch, actor="ann", queued_height=900
    )

    changes_watch(work(HEIGHT))

    batch.refresh_from_db()
    assert (batch.state, batch.exit_code) == (BatchState.LANDED, 0)
    assert (Sector.objects.get().state, SectorChange.objects.get().state) == (
        "TERMINATED",
        "TERMINATE_LANDED",
    )


@pytest.mark.parametrize(
    ("kind", "was", "becomes"), [("TERMINATE", "TERMINATED", "PROVING"), ("EXTEND", "PROVING", "PROVING")]
)
def test_change_that_failed_on_another_branch_has_failed(kind: str, was: str, becomes: str) -> None:
    batch = landed(kind.lower(), exit_code=16)
    sector = factories.sector(batch.miner, state=was, deadline=0, partition=0, expiration=9000)
    epochs = {"queued_height": 900, "expiration": 9000, "old_expiration": 5000}
    change = SectorChange.objects.create(
        sector=sector, kind=kind, state=f"{kind}_LANDED", batch=batch, actor="ann", **epochs
    )

    for height in (HEIGHT, HEIGHT + 1):
        changes_watch(work(height))

    change.refresh_from_db()
    sector = Sector.objects.get()
    assert (change.state, change.exit_code, sector.state) == (f"{kind}_FAILED", 16, becomes)
    assert sector.expiration == (5000 if kind == "EXTEND" else 9000)
