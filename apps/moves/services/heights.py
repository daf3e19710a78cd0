"""The heights at which a miner changes hands: set once, by a person, and kept in its row."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from apps.blocks.models import Block
from apps.blocks.selectors.mining_miners import miners_on
from apps.blocks.services.mining import mining_set
from apps.chain.errors import NetworkUnknown
from apps.chain.selectors.heads import head_current
from apps.chain.selectors.network import network_current
from apps.core import clock
from apps.core.errors import BadValue, NotAllowed
from apps.core.formatting import plural_kept, whole
from apps.core.live import Change, publish
from apps.core.marked_texts import gettext
from apps.gateway.selectors.connections import keys_served
from apps.messages.models import Recovery
from apps.messages.selectors.recovery import recovery_row
from apps.messages.services.recovery.detect import RECOVERY_CHANGE
from apps.miners.models import Miner
from apps.miners.selectors.miners import miners_with_restored_moves
from apps.moves.errors import MoveRefused
from apps.moves.rules.steps import HEIGHT_DISTANCE, Direction
from apps.moves.selectors.moves import height_refusal, is_pending
from apps.proving.models import WindowPost
from apps.sectors.services.numbers import counter_load
from apps.sectors.services.reservations import sectorid_export
from apps.users.rules.principals import Principal
from apps.users.services.audit import audit_record


def miner_move_in(miner: Miner, *, height: int, by: Principal) -> Miner:
    """Set the height from which the pool proves a miner's windows and makes its blocks.

    Blocks wait for `mining_set`, also where the pool has made them before: two programs that make them are
    slashed.  The same height again changes nothing.
    Raises NotAllowed, BadValue, MoveRefused, NetworkUnknown.
    """
    head = head_require(by)
    with transaction.atomic():
        row = _locked(miner)
        if row.works_from == height and row.works_until is None:
            return row
        height_check(height, head=head, direction=Direction.IN)
        _require_free(row, head=head, direction=Direction.IN)
        if not keys_served(row.tenant.name, [row.worker]):
            raise MoveRefused(
                gettext("no connected signer holds the key of {worker}").format(worker=row.worker),
                field="height",
            )
        if miners_on([row]):
            mining_set(row, is_on=False, principal=by)
        counter_load(row)  # given away, until somebody enters which numbers the other program assigned
        return _set(row, by=by, action="miner.move-in", works_from=height, works_until=None)


def miner_move_out(miner: Miner, *, height: int, by: Principal, allocated: Sequence[range] = ()) -> Miner:
    """Set the height from which another program proves a miner's windows and makes its blocks.

    From now on the pool assigns no sector numbers: two programs that do lose sectors.  The next number is
    greater than those that the chain has `allocated`.  Refused where a proof of such a window has started
    here, or a block of such an epoch.  The same height again changes nothing.
    Raises NotAllowed, BadValue, MoveRefused, NetworkUnknown.
    """
    head = head_require(by)
    with transaction.atomic():
        row = _locked(miner)
        if row.works_until == height:
            return row
        height_check(height, head=head, direction=Direction.OUT)
        _require_free(row, head=head, direction=Direction.OUT)
        started = WindowPost.objects.filter(miner=row, open_epoch__gte=height).order_by("-open_epoch").first()
        if started is not None:
            raise MoveRefused(
                gettext(
                    "the proof of deadline {deadline}, which opens at {opens}, has already started: "
                    "choose a later height"
                ).format(deadline=started.deadline_index, opens=whole(started.open_epoch)),
                field="height",
            )
        block = _last_block(row, since=height)
        if block is not None:
            raise MoveRefused(
                gettext(
                    "the block of epoch {height} may already be signed here: choose a later height"
                ).format(height=whole(block.height)),
                field="height",
            )
        sectorid_export(row, principal=by, now=clock.now(), allocated=allocated)
        return _set(row, by=by, action="miner.move-out", works_from=row.works_from, works_until=height)


def move_cancel(miner: Miner, *, by: Principal) -> Miner:
    """Cancel the height that was set last, while the chain has not reached it.

    That of a move in is refused where a proof of a window from there on has started here, or a block may
    be signed: another program would make the same.  Sector numbers are that program's again; those of a move
    out stay with it, as it may have assigned some.  Raises NotAllowed, MoveRefused, NetworkUnknown.
    """
    head = head_require(by)
    with transaction.atomic():
        row = _locked(miner)
        if not is_pending(row, height=head):
            raise MoveRefused(gettext("no future height is set"), field="height")
        if row.works_until is not None:
            return _set(row, by=by, action="miner.move-cancel", works_from=row.works_from, works_until=None)
        if WindowPost.objects.filter(miner=row, open_epoch__gte=row.works_from).exists():
            raise MoveRefused(
                gettext(
                    "a proof of a window at or after height {height} has already started: move out instead"
                ).format(height=whole(row.works_from)),
                field="height",
            )
        is_near = row.works_from is not None and row.works_from - head < HEIGHT_DISTANCE[Direction.OUT]
        if _last_block(row, since=row.works_from or 0) or (is_near and miners_on([row])):
            raise MoveRefused(
                gettext(
                    "a block at or after height {height} may already be signed here: move out instead"
                ).format(height=whole(row.works_from)),
                field="height",
            )
        sectorid_export(row, principal=by, now=clock.now())
        return _set(row, by=by, action="miner.move-cancel", works_from=None, works_until=0)


def moves_settle(*, principal: Principal, now: datetime) -> None:
    """Note that the heights of moved miners are right, though the database was restored from a backup."""
    count = miners_with_restored_moves(recovery_row()).count()
    with transaction.atomic():
        after = {"moved": plural_kept(count, "miner")}
        Recovery.objects.filter(pk=1).update(moves_settled_at=now)
        audit_record(principal=principal, action="recovery.moves", target="pool", after=after)
        publish(RECOVERY_CHANGE)


def head_require(by: Principal) -> int:
    """Return the head's height to somebody who may sign.  Raises NotAllowed, NetworkUnknown."""
    if not by.may("sign"):
        raise NotAllowed(gettext("requires permission to sign for the miner's tenant"))
    head = head_current()
    if head is None:
        raise NetworkUnknown
    return head.height


def height_check(height: int, *, head: int, direction: Direction) -> None:
    """Refuse a height that is not some epochs after the head, and within a proving period."""
    first, last = head + HEIGHT_DISTANCE[direction], head + network_current().proving_period
    if not first <= height <= last:
        raise BadValue(
            gettext("must be from {first} to {last}: after the head and within one proving period").format(
                first=whole(first), last=whole(last)
            ),
            field="height",
        )


def _require_free(row: Miner, *, head: int, direction: Direction) -> None:
    refusal = height_refusal(row, head=head, direction=direction)
    if refusal:
        raise MoveRefused(refusal, field="height")


def _last_block(row: Miner, *, since: int) -> Block | None:
    """Return a miner's newest block of this height or later that may be signed here; None: there is none."""
    return Block.objects.filter(actor_id=row.actor_id or 0, height__gte=since).order_by("-height").first()


def _locked(miner: Miner) -> Miner:
    """Lock a miner's row: a task that begins the proof of a window waits, or is seen."""
    return (
        Miner.objects.select_for_update(of=("self",), no_key=True).select_related("tenant").get(pk=miner.pk)
    )


def _set(row: Miner, *, by: Principal, action: str, works_from: int | None, works_until: int | None) -> Miner:
    before = _height_fields(row)
    row.works_from, row.works_until = works_from, works_until
    row.save(update_fields=["works_from", "works_until", "updated_at"])
    audit_record(principal=by, action=action, target=row.address, before=before, after=_height_fields(row))
    publish(Change("miner", row.pk, row.tenant_id))
    return row


def _height_fields(row: Miner) -> dict[str, str | None]:
    """Return the heights as the audit log keeps them."""
    return {
        name: None if value is None else f"height {value}"
        for name, value in (("works_from", row.works_from), ("works_until", row.works_until))
    }
