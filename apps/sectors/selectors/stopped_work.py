"""What was asked for of proven sectors and failed: runs, changes, moves, unsealing, compactions.

And of clients' data: what is due and does not go on.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Least

from apps.messages.models import Message
from apps.messages.states import MessageState
from apps.miners.models import Miner
from apps.pieces.models import Piece
from apps.pieces.states import PieceState
from apps.sectors.models import RUNS_OVER, Job, PipelineRun, Sector, SectorChange, StoreMove
from apps.sectors.states import JobState, MoveState
from poolsite.wire.jobs import JobKind
from poolsite.wire.pipeline import SectorState
from poolsite.wire.pipeline.changes import ChangeState

FAILED_CHANGES = (ChangeState.TERMINATE_FAILED, ChangeState.EXTEND_FAILED)
COMPACT: Final = "compact"
"""Kind of the message that compacts a deadline; its push id begins with it, the miner and the deadline."""


def runs_stopped(sectors: QuerySet[Sector]) -> QuerySet[PipelineRun]:
    """Return the runs over these sectors that wait for a decision, the oldest first."""
    rows = PipelineRun.objects.exclude(state__in=RUNS_OVER).exclude(paused_at=None)
    rows = rows.filter(sector__in=sectors.select_related(None).order_by().values("pk"))
    return rows.select_related("sector__miner").order_by("paused_at")


def changes_failed(sectors: QuerySet[Sector], *, since: datetime) -> QuerySet[SectorChange]:
    """Return the changes of these proving sectors that failed since a moment and were not repeated."""
    later = SectorChange.objects.filter(sector=OuterRef("sector"), pk__gt=OuterRef("pk"))
    rows = SectorChange.objects.filter(state__in=FAILED_CHANGES, updated_at__gte=since)
    rows = rows.filter(sector__in=sectors.select_related(None).order_by().values("pk"))
    rows = rows.filter(~Exists(later), sector__state=SectorState.PROVING)
    return rows.select_related("sector__miner").order_by("sector__expiration")


def moves_failed(sectors: QuerySet[Sector], *, since: datetime) -> QuerySet[StoreMove]:
    """Return the moves of these sectors that failed since a moment, where none was asked for later."""
    later = StoreMove.objects.filter(sector=OuterRef("sector"), pk__gt=OuterRef("pk"))
    rows = StoreMove.objects.filter(~Exists(later), state=MoveState.FAILED, updated_at__gte=since)
    rows = rows.filter(sector__in=sectors.select_related(None).order_by().values("pk"))
    return rows.select_related("sector__miner", "from_store", "to_store").order_by("-pk")


def pieces_stopped(pieces: QuerySet[Piece], *, last: int, height: int, since: datetime) -> QuerySet[Piece]:
    """Return the pieces that must be active by epoch `last` and are not on their way, those due first first.

    They have waited since a moment for a sector, or their sector or snap-up waits for a decision; those
    whose time is over at `height` are left out.
    """
    place = {"miner": OuterRef("miner"), "number": OuterRef("sector_number")}
    sector = Sector.objects.filter(**place).exclude(paused_at=None)
    runs = PipelineRun.objects.filter(**{f"sector__{name}": outer for name, outer in place.items()})
    run = runs.filter(kind=JobKind.SNAP_UP).exclude(state__in=RUNS_OVER).exclude(paused_at=None)
    waits = Q(state=PieceState.READY, state_since__lt=since)
    stopped = Q(Exists(sector) | Exists(run), state=PieceState.PACKED)
    under_way = pieces.filter(state__in=[PieceState.READY, PieceState.PACKED])  # by their index
    rows = under_way.alias(due=Least("start_epoch", "terms_epoch"))  # passes over what is null
    return rows.filter(waits | stopped, due__gt=height, due__lte=last).order_by("due", "pk")


def unseals_failed(miners: Sequence[Miner], *, since: datetime, limit: int) -> tuple[list[Job], bool]:
    """Return the jobs that could not unseal a piece since a moment, where no later one does.

    Of the newest `limit` that failed, and whether there are more.
    """
    rows = Job.objects.filter(kind=JobKind.UNSEAL, state=JobState.FAILED, updated_at__gte=since)
    found = list(rows.filter(miner__in=miners).select_related("miner").order_by("-pk")[: limit + 1])
    found, has_more = found[:limit], len(found) > limit
    if not found:
        return [], False
    pieces = {job.inputs.get("piece") for job in found}
    again = Job.objects.filter(kind=JobKind.UNSEAL, inputs__piece__in=list(pieces), pk__gt=found[-1].pk)
    newest: dict[str, int] = {}
    for key, piece in again.values_list("pk", "inputs__piece"):
        newest[piece] = max(newest.get(piece, 0), key)
    last = [job for job in found if newest.get(job.inputs.get("piece", ""), job.pk) == job.pk]
    return last, has_more


def compaction_place(message: Message) -> tuple[str, int]:
    """Return the miner's address and the deadline that a message compacts."""
    _, address, index, _ = message.push_id.split(":", 3)
    return address, int(index)


def compactions_failed(miners: Sequence[Miner], *, since: datetime) -> list[Message]:
    """Return the compactions that failed since a moment, where no later one of the deadline was sent."""
    rows = Message.objects.filter(kind=COMPACT, to__in=[one.address for one in miners], created_at__gte=since)
    newest: dict[tuple[str, int], Message] = {}
    for message in rows.order_by("-created_at", "-id"):
        newest.setdefault(compaction_place(message), message)
    return [one for one in newest.values() if one.state == MessageState.FAILED or one.exit_code > 0]
