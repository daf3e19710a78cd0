"""Checks of what was asked for of proven sectors and of clients' data, and did not come about."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from apps.checks import reasons
from apps.checks.findings.acts import runs_retry
from apps.checks.findings.results import REASON_MAX, Finding, Link
from apps.checks.findings.text import at_least
from apps.checks.selectors.data import CheckData
from apps.checks.selectors.rare import COUNTED_MAX, rare_rows
from apps.core.clock import DAY_S
from apps.core.formatting import fil
from apps.core.reasons import clauses, colon, counted, cut
from apps.pieces.models import Piece
from apps.pieces.reasons import UPLOAD
from apps.pieces.selectors import pieces_failed as pieces_failed_of
from apps.pieces.selectors import pieces_visible
from apps.pieces.states import PiecePurpose
from apps.sectors.models import Sector
from apps.sectors.selectors.stopped_work import changes_failed as changes_failed_of
from apps.sectors.selectors.stopped_work import moves_failed as moves_failed_of
from apps.sectors.selectors.stopped_work import pieces_stopped as pieces_stopped_of
from apps.sectors.selectors.stopped_work import runs_stopped as runs_stopped_of
from apps.sectors.selectors.stopped_work import unseals_failed as unseals_failed_of
from poolsite.wire.jobs import JobKind
from poolsite.wire.pipeline.changes import ChangeKind

SHOWN: Final = timedelta(hours=24)
"""A failure that asks for no decision is named for so long."""
CHANGES_SHOWN: Final = timedelta(days=7)
"""A termination or an extension that failed: it was a decision, which still stands."""
PIECES_DUE_S: Final = DAY_S
"""A piece that must be active within 24 hours is named: to seal it takes many of them."""
PIECE_WAITS: Final = timedelta(minutes=10)
"""What has waited for less is about to go into a sector."""
RUNS: Final = {JobKind.SNAP_UP: "snap-up", JobKind.REBUILD: "rebuild"}
CHANGES: Final = {ChangeKind.TERMINATE: "termination", ChangeKind.EXTEND: "extension"}


def _named(sector: Sector, error: str) -> str:
    """`f01000 / 7: no space left`."""
    return colon(f"{sector.miner.address} / {sector.number}", error or reasons.NO_REASON())


def runs_stopped(data: CheckData) -> Iterator[Finding]:
    """Snap-ups and rebuilds that stopped: their pieces or a faulty sector wait for a decision."""
    rows, has_more = rare_rows(runs_stopped_of(data.sectors)) if data.rare.runs_stopped else ([], False)
    for kind, word in RUNS.items():
        stopped = [row for row in rows if row.kind == kind]
        if not stopped:
            continue
        first = stopped[0]
        # What a sector without files costs stands in the sum already, under the faults.
        faulty = [row.sector for row in stopped if kind == JobKind.REBUILD and not row.sector.active]
        cost = sum(data.fault_fee_per_day(sector.miner, 1) for sector in faulty)
        fee = reasons.FAULTS_COST(cost=fil(cost)) if cost else ""
        yield Finding(
            f"runs-{kind}",
            reasons.STOPPED(count=at_least(len(stopped), word, has_more=has_more)),
            clauses(cut(_named(first.sector, first.error), REASON_MAX - len(fee) - len("; ")), fee),
            link=Link("sector", (str(first.sector.uuid),)) if len(stopped) == 1 else None,
            count=len(stopped),
            has_more=has_more,
            acts=runs_retry(stopped),
        )


def sectors_unlisted(data: CheckData) -> Iterator[Finding]:
    """Sectors that the chain has and the pool no row for: they are proven, and cannot be listed here."""
    for miner in data.miners:
        if miner.unlisted_sectors:
            yield Finding(
                f"unlisted-{miner.pk}",
                reasons.UNLISTED(miner=miner.address, sectors=counted(miner.unlisted_sectors, "live sector")),
                reasons.ADOPT(),
                link=Link("miner-adopt", (miner.address,)),
                count=miner.unlisted_sectors,
            )


def changes_failed(data: CheckData) -> Iterator[Finding]:
    """Terminations and extensions that the chain refused: the sectors go on as before."""
    if not data.rare.changes_failed:
        return
    rows, has_more = rare_rows(changes_failed_of(data.sectors, since=data.at - CHANGES_SHOWN))
    for kind, word in CHANGES.items():
        failed = [row for row in rows if row.kind == kind]
        if not failed:
            continue
        first = failed[0].sector
        ends = first.expiration if kind == ChangeKind.EXTEND and data.clock is not None else None
        yield Finding(
            f"changes-{kind.lower()}",
            reasons.FAILED(count=at_least(len(failed), word, has_more=has_more)),
            _named(first, failed[0].error),
            link=Link("sector", (str(first.uuid),)) if len(failed) == 1 else None,
            count=len(failed),
            has_more=has_more,
            per_day=data.rewards_of([row.sector for row in failed]) if kind == ChangeKind.EXTEND else 0,
            due_s=data.clock.starts_at(ends) if ends is not None and data.clock is not None else None,
            due_label=reasons.UNTIL_EXPIRES() if len(failed) == 1 else reasons.UNTIL_FIRST_EXPIRES(),
        )


def moves_failed(data: CheckData) -> Iterator[Finding]:
    """Sectors that did not reach another store; the old copy still counts."""
    if not data.rare.moves_failed:
        return
    rows, has_more = rare_rows(moves_failed_of(data.sectors, since=data.at - SHOWN))
    if rows:
        first = rows[0]
        way = reasons.FROM_TO(from_store=first.from_store, to_store=first.to_store)
        yield Finding(
            "moves",
            reasons.MOVES_FAILED(moves=at_least(len(rows), "move", has_more=has_more)),
            clauses(_named(first.sector, first.error), way),
            count=len(rows),
            has_more=has_more,
        )


def unseals_failed(data: CheckData) -> Iterator[Finding]:
    """Clients' data that were asked for and could not be unsealed."""
    if not data.rare.unseals_failed:
        return
    rows, has_more = unseals_failed_of(data.miners, since=data.at - SHOWN, limit=COUNTED_MAX)
    if rows:
        first = rows[0]
        why = colon(first.miner.address, first.error or reasons.NO_REASON())
        say = reasons.UNSEALS_FAILED(pieces=at_least(len(rows), "piece", has_more=has_more))
        yield Finding("unseals", say, why, count=len(rows), has_more=has_more)


def pieces_failed(data: CheckData) -> Iterator[Finding]:
    """Clients' data that will be in no sector; what the client paid for is not delivered."""
    if not data.rare.pieces_failed:
        return
    rows, has_more = rare_rows(pieces_failed_of(data.viewer))
    if rows:
        first = rows[0]
        starts = [row.last_epoch for row in rows if row.last_epoch is not None]
        due = min((epoch for epoch in starts if data.head and epoch > data.head.height), default=None)
        yield Finding(
            "pieces",
            reasons.FAILED(count=at_least(len(rows), "piece", has_more=has_more)),
            colon(_piece_name(first), first.error or reasons.NO_REASON()),
            count=len(rows),
            has_more=has_more,
            due_s=data.clock.starts_at(due) if due is not None and data.clock is not None else None,
            due_label=reasons.UNTIL_ACTIVE(),
        )


def pieces_stopped(data: CheckData) -> Iterator[Finding]:
    """Clients' data that must be active soon and wait for somebody: then the chain does not take them."""
    if data.clock is None or data.network is None or not data.rare.pieces_due:
        return
    height = data.clock.epoch
    last = height + PIECES_DUE_S // data.network.epoch_s
    pieces = pieces_visible(data.viewer)
    rows, has_more = rare_rows(
        pieces_stopped_of(pieces, last=last, height=height, since=data.at - PIECE_WAITS)
    )
    if rows:
        first = rows[0]
        due = first.last_epoch or last
        yield Finding(
            "pieces-stopped",
            reasons.PIECES_STOPPED(pieces=at_least(len(rows), "piece", has_more=has_more)),
            colon(_piece_name(first), first.error or _stopped_text(first)),
            count=len(rows),
            has_more=has_more,
            due_s=data.clock.starts_at(due),
            due_label=reasons.UNTIL_ACTIVE(),
        )


def _piece_name(piece: Piece) -> str:
    """Return its CID, or which upload it is while it has none."""
    return piece.piece_cid or UPLOAD(uuid=str(piece.uuid))


def _stopped_text(piece: Piece) -> str:
    """Return what a piece that is due waits for."""
    if piece.sector_number is not None:
        return reasons.SECTOR_PAUSED(number=piece.sector_number)
    if piece.purpose == PiecePurpose.SNAP_UP:
        return reasons.WAITS_FOR_SNAP_UP()
    return reasons.NO_SECTOR_STARTED()
