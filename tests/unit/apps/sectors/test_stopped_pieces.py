"""Which of clients' data are due and do not go on by themselves."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from apps.core.clock import now
from apps.pieces.models import Piece
from apps.sectors.models import PipelineRun
from apps.sectors.selectors.stopped_work import pieces_stopped
from apps.sectors.services.runs.steps import run_begin
from poolsite.wire.jobs import JobKind
from poolsite.wire.pipeline import SnapState
from tests import factories

pytestmark = pytest.mark.django_db


def stopped() -> list[Piece]:
    since = now() - timedelta(minutes=10)
    return list(pieces_stopped(Piece.objects.all(), last=500, height=100, since=since))


def waiting(of: Any, **data: Any) -> Piece:
    return factories.piece(of, **{"state_since": now() - timedelta(hours=1), **data})


def test_what_waits_and_is_due_is_named_the_first_due_first() -> None:
    miner = factories.miner()
    late, first = waiting(miner, start_epoch=500, terms_epoch=900), waiting(miner, terms_epoch=101)
    waiting(miner, start_epoch=501, terms_epoch=900)
    waiting(miner, start_epoch=100)
    waiting(miner)
    waiting(miner, start_epoch=300, state_since=now())
    waiting(miner, start_epoch=300, state="FAILED")

    assert stopped() == [first, late]


@pytest.mark.parametrize("is_paused", [True, False])
@pytest.mark.parametrize("has_run", [True, False])
def test_what_lies_in_a_sector_is_named_once_it_is_paused(is_paused: bool, has_run: bool) -> None:
    paused_at = now() if is_paused else None
    state = "PROVING" if has_run else "PC1_DONE"
    sector = factories.sector(factories.miner(), state=state, paused_at=None if has_run else paused_at)
    if has_run:
        run = run_begin(
            sector, kind=JobKind.SNAP_UP, state=SnapState.SNAP_STORED, actor="ann", now=now(), hosts=[]
        )
        PipelineRun.objects.filter(pk=run.pk).update(paused_at=paused_at)
    piece = waiting(sector.miner, state="PACKED", sector_number=sector.number, offset=0, start_epoch=300)
    factories.sector(sector.miner, state="PC1_DONE", paused_at=now())

    assert stopped() == ([piece] if is_paused else [])
