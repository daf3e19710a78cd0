"""Whatever column services write a text into: each page that shows it does so in the page's language."""

from __future__ import annotations

from typing import Final

import pytest
from django.apps import apps
from django.urls import reverse

from apps.blocks.models import F3Lease, Round
from apps.chain.models import Node
from apps.checks.models import Alert, AlertEntry
from apps.core.clock import now
from apps.messages.models import MessageEvent, Recovery, Sender
from apps.miners.reasons import LEASE_EXPIRED
from apps.proving.models import CheckRun, PostNote, ProofAttempt, SectorCheck, WindowPost
from apps.sectors.models import (
    PipelineRun,
    SealTarget,
    SectorChange,
    SectorCopy,
    StoreCheck,
    StoreEvent,
    StoreMove,
    WorkerCommand,
)
from poolsite.wire.jobs import JobKind
from tests import factories
from tests.demo_data import Pool, addresses, alerts, busy_pool
from tests.page_client import signed_in, text_of
from tests.people import operator_person

pytestmark = pytest.mark.django_db

COLUMNS: Final = (
    "blocks.F3Lease.reason",
    "blocks.Round.reason",
    "chain.Node.error",
    "gateway.ProverConnection.last_failure",
    "gateway.SignerConnection.last_failure",
    "messages.Message.error",
    "messages.MessageEvent.text",
    "messages.Recovery.reason",
    "messages.Sender.error",
    "miners.Miner.error",
    "miners.Role.note",
    "pieces.Piece.error",
    "pool_checks.Alert.say",
    "pool_checks.AlertEntry.text",
    "pool_checks.Notification.error",
    "pool_checks.Notification.text",
    "proving.CheckRun.error",
    "proving.Deadline.reason",
    "proving.PostNote.words",
    "proving.ProofAttempt.reason",
    "proving.SectorCheck.reason",
    "proving.WindowPost.error",
    "sectors.JobEvent.note",
    "sectors.PipelineRun.error",
    "sectors.SealTarget.reason",
    "sectors.Sector.error",
    "sectors.SectorChange.error",
    "sectors.SectorCopy.reason",
    "sectors.StoreAttachment.reason",
    "sectors.StoreCheck.error",
    "sectors.StoreEvent.note",
    "sectors.StoreFinding.error",
    "sectors.StoreMove.error",
    "sectors.StoreScan.error",
    "sectors.Worker.last_error",
    "sectors.WorkerCommand.error",
    "wallets.SignRecord.error",
)
"""Columns into which services write texts of their own, by model and field."""


def stored(place: int) -> str:
    """A service's text, in this column only."""
    return LEASE_EXPIRED(host=f"zz{place}q")


def shown(place: int) -> str:
    """The same as a Chinese page has it."""
    return f"zz{place}q 的租约已到期"


def odd_rows(pool: Pool) -> None:
    """A row of each kind that busy_pool has none of, in a state in which pages show its text."""
    at, miner, host = now(), pool.miner, pool.sealer
    moved = {"from_store": pool.store, "to_store": pool.mirror, "actor": "ann"}
    F3Lease.objects.create(miner=miner, failing_since=at)
    Round.objects.create(miner=miner, epoch=998, base_height=997, state="PROOF_TIMEOUT", win_count=1, at=at)
    Node.objects.create(url="http://n1", name="n1", condition="AWAY")
    MessageEvent.objects.create(message=pool.landed, at=at, event="replaced")
    Recovery.objects.create(pk=1, since=at, restored_at=at)
    Sender.objects.filter(address=pool.wallet.address).update(wait="FUNDS", gap_nonce=None)
    SealTarget.objects.filter(miner=miner).update(held_by="DISK")
    AlertEntry.objects.create(alert=Alert.objects.get(), at=at, kind="CHANGED", count=1)
    window = {"miner": miner, "deadline_index": 1, "open_epoch": 995, "randomness": b"r"}
    post = WindowPost.objects.create(
        **window, close_epoch=1005, challenge_epoch=990, state="NOTHING", partitions=[0], tries=2
    )
    ProofAttempt.objects.create(
        post=post, kind="FIRST", state="STALLED", job=factories.proof_job(miner, worker=host)
    )
    later = window | {"open_epoch": 1005, "close_epoch": 5000, "challenge_epoch": 1000}
    WindowPost.objects.create(**later, state="NOTHING", partitions=[0], tries=2)
    PostNote.objects.create(post=post, at=at, epoch=1000)
    CheckRun.objects.create(miner=miner, kind="AHEAD", deadline_index=1, open_epoch=995, state="FAILED")
    SectorCheck.objects.create(
        miner=miner, number=1, deadline_index=1, is_good=False, checked_at=at, height=999
    )
    PipelineRun.objects.create(
        sector=pool.active,
        job=factories.proof_job(miner, worker=host, kind=JobKind.SNAP_UP, state="PAUSED", lease_until=None),
        kind=JobKind.SNAP_UP,
        state="PIECES_ASSIGNED",
        state_since=at,
        paused_at=at,
    )
    SectorChange.objects.create(sector=pool.faulty, kind="EXTEND", state="EXTEND_FAILED", queued_height=1)
    SectorCopy.objects.create(sector=pool.active, store=pool.store, condition="BAD", found_at=at)
    StoreCheck.objects.create(store=pool.store, worker=host, bytes_s=1, state="FAILED")
    StoreEvent.objects.create(store=pool.store, at=at, event="FAILED", actor="ann")
    StoreMove.objects.create(sector=pool.active, worker=host, state="FAILED", **moved)
    WorkerCommand.objects.create(worker=host, op="detach", args={"store": pool.store.uid}, done_at=at)


@pytest.fixture
def seen(db: None) -> dict[str, str]:
    """The pages, in Chinese, of a pool in which each column has a text of its own."""
    operator = operator_person()
    operator.language = "zh-hans"
    operator.save()
    pool = busy_pool()
    alerts()
    odd_rows(pool)
    for place, column in enumerate(COLUMNS):
        model, _, field = column.rpartition(".")
        assert apps.get_model(model)._default_manager.update(**{field: stored(place)}), column
    pages = addresses(pool) | {
        "alert": reverse("alert", args=[Alert.objects.get().uuid]),
        "recovery": reverse("recovery"),
    }
    client = signed_in("olga")
    return {name: text_of(client.get(address)) for name, address in pages.items()}


def test_texts_of_each_column_are_shown_in_chinese(seen: dict[str, str]) -> None:
    english = {
        f"{column} on {name}"
        for place, column in enumerate(COLUMNS)
        for name, html in seen.items()
        if stored(place) in html
    }
    unseen = {
        column
        for place, column in enumerate(COLUMNS)
        if not any(shown(place) in html for html in seen.values())
    }

    assert english == set()
    assert unseen == set()
