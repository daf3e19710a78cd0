"""A step is sent when there is work for it, and all are now and then, whatever the questions find."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.utils.timezone import now

from apps.chain.heads.steps import EVERY_STEP_EPOCHS, Steps, head_steps, tasks_due
from apps.messages.models import Recovery as Restore
from apps.miners.models import Miner
from apps.proving.models import Recovery, WindowPost
from apps.sectors.models import AllocationsRead, HostInventory, SectorAdoption, StoreScan
from apps.sectors.tasks import sectors_scans
from tests import factories

if TYPE_CHECKING:
    from pytest_django import DjangoAssertNumQueries

pytestmark = pytest.mark.django_db
ALWAYS = {step.task for step in head_steps() if not step.due}


@pytest.fixture(autouse=True)
def allocations_read() -> None:
    """Those of our miners were read, and are read again in an hour."""
    later = now() + timedelta(hours=1)
    AllocationsRead.objects.create(due_at=later, all_due_at=later)


def due(height: int = 1000) -> set[str]:
    return tasks_due(height=height, finality=20) - ALWAYS


def post(of: Miner, state: str, **data: Any) -> WindowPost:
    facts = {"deadline_index": 0, "open_epoch": 995, "close_epoch": 1005, "challenge_epoch": 993, "part": 0}
    return WindowPost.objects.create(miner=of, state=state, partitions=[0], randomness=b"r", **(facts | data))


def landed_batch(of: Miner, landed_height: int, **message: Any) -> None:
    row = factories.batch(of, state="LANDED", landed_height=landed_height)
    factories.message(row.message_id, **message)


def landed_post(of: Miner, **message: Any) -> None:
    factories.message("proof", state="LANDED", **message)
    post(of, "LANDED", landed_height=990, message_id="proof")


def recovery(of: Miner) -> None:
    Recovery.objects.create(
        miner=of, deadline_index=0, partition_index=0, open_epoch=1, cutoff_epoch=1, randomness=b"r"
    )


def reported(_of: Miner) -> None:
    Restore.objects.update_or_create(pk=1, defaults={"restored_at": now() - timedelta(hours=1)})
    HostInventory.objects.create(worker=factories.worker(), told_at=now())


def scanned(_of: Miner) -> None:
    host = factories.worker()
    report = {"v": 1, "command": "c", "miners": []}
    StoreScan.objects.create(store=factories.store(host), worker=host, report=report)


def redeclared(_of: Miner) -> None:
    host = factories.worker()
    StoreScan.objects.create(store=factories.store(host), worker=host, state="DONE", redeclares=True)


def leased(of: Miner, *, left_s: int) -> None:
    host = factories.worker()
    factories.sector(of, state="PC1_DONE", held_by=host).job.__class__.objects.update(
        lease_until=now() + timedelta(seconds=left_s)
    )


NO_WORK: dict[str, Callable[[Miner], object]] = {
    "nothing": lambda of: of,
    "a proven sector": lambda of: factories.sector(of, state="PROVING", deadline=1, partition=0),
    "a paused sector": lambda of: factories.sector(of, state="PERSISTED", paused_at=now()),
    "a landed message": lambda _of: factories.message(state="LANDED"),
    "a landed batch": lambda of: landed_batch(of, 990, state="LANDED"),
    "a batch too deep to be taken back": lambda of: landed_batch(of, 970, state="REPLACED"),
    "a proof where its message is": landed_post,
    "a window with no sector": lambda of: factories.deadline(of, open_epoch=995),
    "a window of long ago": lambda of: factories.deadline(of, open_epoch=900, live=1),
}

WORK: dict[str, tuple[Callable[[Miner], object], set[str]]] = {
    "a message that waits": (lambda _of: factories.message(), {"messages.select"}),
    "messages that are read back": (
        lambda _of: Restore.objects.update_or_create(pk=1, defaults={"since": now()}),
        {"messages.select"},
    ),
    "sectors that are read back": (
        lambda _of: Restore.objects.update_or_create(pk=1, defaults={"sectors_since": now()}),
        {"sectors.advance"},
    ),
    "a host that reports after a restore": (reported, {"sectors.advance"}),
    "a scan that waits to be compared": (scanned, {"sectors.scans"}),
    "a scan whose findings rows are to follow": (redeclared, {"sectors.scans"}),
    "a message in flight": (lambda _of: factories.message(state="FILLED"), {"messages.select"}),
    "a sector on its way": (lambda of: factories.sector(of, state="TREE_D_BUILT"), {"sectors.advance"}),
    "a sector for a pre-commit": (
        lambda of: factories.sector(of, state="PERSISTED"),
        {"sectors.advance", "sectors.batch"},
    ),
    "a sector for a commit": (
        lambda of: factories.sector(of, state="C2_DONE"),
        {"sectors.advance", "sectors.batch"},
    ),
    "a paused sector whose message is out": (
        lambda of: factories.sector(of, state="COMMIT_SENT", paused_at=now()),
        {"sectors.advance"},
    ),
    "a sector without deadline": (lambda of: factories.sector(of, state="PROVING"), {"sectors.advance"}),
    "a batch to hand over": (lambda of: factories.batch(of, state="CLOSED"), {"sectors.advance"}),
    "a batch that was sent": (lambda of: factories.batch(of, state="SENT"), {"sectors.advance"}),
    "a batch whose message left the chain": (
        lambda of: landed_batch(of, 990, state="REPLACED"),
        {"sectors.advance"},
    ),
    "a batch whose message failed on another branch": (
        lambda of: landed_batch(of, 990, state="LANDED", exit_code=16),
        {"sectors.advance"},
    ),
    "a batch whose message another branch has elsewhere": (
        lambda of: landed_batch(of, 990, state="LANDED", height=991),
        {"sectors.advance"},
    ),
    "a lease that ran out": (lambda of: leased(of, left_s=-1), {"sectors.advance", "sectors.sweep"}),
    "sectors that are adopted": (
        lambda of: SectorAdoption.objects.create(miner=of, total=1, actor="ann"),
        {"sectors.adopt"},
    ),
    "a proof on its way": (lambda of: post(of, "PROVING"), {"proving.submit"}),
    "a proof with nothing to prove": (lambda of: post(of, "NOTHING"), {"proving.submit"}),
    "a proof landed elsewhere": (lambda of: landed_post(of, height=991), {"proving.submit"}),
    "a proof that the chain refused": (lambda of: landed_post(of, exit_code=16), {"proving.submit"}),
    "a proof of nobody's message": (lambda of: post(of, "LANDED", landed_height=990), {"proving.submit"}),
    "a missed proof that landed in time on another branch": (
        lambda of: (factories.message("proof", state="LANDED"), post(of, "MISSED", message_id="proof")),
        {"proving.submit"},
    ),
    "a recovery": (recovery, {"proving.submit"}),
    "a window with its proof, to be looked at": (
        lambda of: (factories.deadline(of, open_epoch=995, live=1), post(of, "MISSED")),
        {"proving.check"},
    ),
    "a window that is not challenged yet": (
        lambda of: factories.deadline(of, open_epoch=1005, live=1),
        {"proving.check"},
    ),
    "a challenged window": (
        lambda of: factories.deadline(of, open_epoch=1001, live=1),
        {"proving.check", "proving.submit"},
    ),
    "a window about to close": (
        lambda of: factories.deadline(of, open_epoch=990, live=1),
        {"proving.submit"},
    ),
}


@pytest.mark.parametrize("rows", NO_WORK)
def test_without_work_only_what_reads_the_chain_is_due(rows: str) -> None:
    NO_WORK[rows](factories.miner())

    assert due() == set()


@pytest.mark.parametrize("rows", WORK)
def test_work_makes_its_step_due(rows: str) -> None:
    make, wanted = WORK[rows]
    make(factories.miner())

    assert due() == wanted


def test_allocations_are_read_once_more_when_that_is_due() -> None:
    AllocationsRead.objects.update(due_at=now() - timedelta(seconds=1))

    assert due() == {"sectors.allocations"}


def test_all_is_asked_in_one_statement(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    due()

    with django_assert_num_queries(1):
        due()


def test_steps_without_work_are_sent_every_few_epochs() -> None:
    sent: list[tuple[int, str]] = []
    at = [0]
    steps = Steps(send=lambda task, **_: sent.append((at[0], task)), due=lambda **_: ["chain.facts"])

    for height in range(100, 100 + 2 * EVERY_STEP_EPOCHS, 3):
        steps.enqueue(height=height, key="k", expires_s=30, before=at[0])
        at[0] = height

    heights = {task: [height for height, name in sent if name == task] for _, task in sent}
    assert len(heights["chain.facts"]) == 7
    assert len(heights["sectors.sweep"]) == 2


def test_a_told_scan_is_compared_by_a_step_of_its_own() -> None:
    scanned(factories.miner())

    sectors_scans(height=1, key="k")

    assert StoreScan.objects.get().state == "DONE"
    assert due() == set()
