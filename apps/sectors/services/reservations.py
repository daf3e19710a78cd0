"""Sector numbers for sealers of others: leased for a while, reserved by name, or all of them by `sectorid`.

Source: lotus-miner `sectors numbers`; filguard's `--sctype=alloce|get` with its file `sectorid`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction

from apps.core.clock import DAY_S
from apps.core.errors import BadValue, NotAllowed
from apps.core.live import Change, publish
from apps.core.marked_texts import gettext
from apps.core.transitions import advance
from apps.core.units import values_with_units
from apps.core.uuids import is_uuid
from apps.messages.services.recovery.detect import restore_check
from apps.miners.errors import MinerNotReady
from apps.miners.models import Miner
from apps.miners.services.role_leases import role_renew
from apps.miners.states import MinerState, RoleKind
from apps.sectors.errors.numbers import NumbersTaken, ReservationUnknown
from apps.sectors.errors.pledges import KeyReused
from apps.sectors.models import NumberReservation, SectorNumbers
from apps.sectors.selectors.numbers import reservations_named
from apps.sectors.services.numbers import (
    NUMBER_MAX,
    RESTORE_SKIP,
    barred_numbers_collect,
    counter_load,
    numbers_allocate,
    numbers_lock,
    restored_skip,
)
from apps.sectors.states import ReservationState
from apps.users.rules.principals import Principal
from apps.users.services.audit import audit_record
from poolsite.filecoin.bitfield import BitField, bitfield_of, bitfield_union, runs_of

LEASE_MAX: Final = 1_000
"""Numbers of one lease: what is passed over after a restore must cover those that the backup lacks."""
AHEAD_MAX: Final = RESTORE_SKIP // 2
"""How far ahead of the counter a range may end, for the same reason."""
TTL_S: Final = 3_600
TTL_MAX_S: Final = 30 * DAY_S
NAME_MAX: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberRequest:
    """What is asked for a miner."""

    name: str
    """Of the reservation; of a lease whoever gets the numbers."""
    count: int = 0
    numbers: BitField | None = None
    """Named ones instead of a count."""
    ttl_s: int = 0
    """0: a reservation that nothing ends."""
    allocated: Sequence[range] = ()
    """Numbers that the chain has allocated (`miners.onchain.numbers_allocated`)."""
    key: str = ""
    allocator: tuple[str, int] | None = None
    """Host and token of the role by which the asker gives numbers out."""

    def __post_init__(self) -> None:
        if not 0 < len(self.name) <= NAME_MAX or not self.name.isprintable():
            raise BadValue(gettext("must have 1 to {limit} characters").format(limit=NAME_MAX), field="name")
        if self.numbers is None and not 1 <= self.count <= LEASE_MAX:
            raise BadValue(gettext("must be from 1 to {limit}").format(limit=LEASE_MAX), field="count")
        if not 0 <= self.ttl_s <= TTL_MAX_S:
            raise BadValue(gettext("must be at most {limit} seconds").format(limit=TTL_MAX_S), field="ttl_s")


@transaction.atomic
def numbers_reserve(
    miner: Miner, *, request: NumberRequest, principal: Principal, now: datetime
) -> NumberReservation:
    """Reserve numbers; the same key again is the same reservation.

    With a role named, only while that host holds it.  Raises NotAllowed, MinerNotReady, RoleFenced,
    NumbersTaken, NumbersElsewhere, NumbersExhausted, KeyReused.
    """
    _require_allowed(principal)
    if miner.state != MinerState.ACTIVE:
        raise MinerNotReady(
            gettext("{miner} does not exist on the chain yet").format(miner=miner), field="miner"
        )
    if request.allocator is not None:
        host, token = request.allocator
        role_renew(miner, host=host, kind=RoleKind.ALLOCATOR, token=token, now=now)
    row = numbers_lock(miner, now=now)
    earlier = _repeated(miner, request)
    if earlier is not None:
        return earlier
    if not request.ttl_s and request.name in reservations_named(miner):
        raise NumbersTaken(
            gettext("{name} already has numbers reserved: release them first").format(name=request.name),
            field="name",
        )
    if request.numbers is None:
        field = bitfield_of(
            numbers_allocate(miner, count=request.count, now=now, allocated=request.allocated)
        )
    else:
        field = _named(row, request.numbers, allocated=request.allocated)
    made = NumberReservation.objects.create(
        miner=miner,
        name=request.name,
        runs=runs_of(field),
        count=len(field),
        last=field.ranges[-1][1] - 1,
        is_lease=request.ttl_s > 0,
        expires_at=now + timedelta(seconds=request.ttl_s) if request.ttl_s else None,
        actor=principal.actor[:200],
        key=request.key or None,
    )
    after = {
        "name": made.name,
        "numbers": numbers_format(field),
        **values_with_units({"lease_s": request.ttl_s}),
    }
    audit_record(principal=principal, action="sector.numbers-reserve", target=miner.address, after=after)
    publish(Change("role", miner.pk, miner.tenant_id))
    return made


def _repeated(miner: Miner, request: NumberRequest) -> NumberReservation | None:
    row = NumberReservation.objects.filter(miner=miner, key=request.key).first() if request.key else None
    if row is None:
        return None
    is_same = row.name == request.name and (
        row.count == request.count if request.numbers is None else row.runs == runs_of(request.numbers)
    )
    if not is_same:
        raise KeyReused
    return row


def _named(row: SectorNumbers, numbers: BitField, *, allocated: Sequence[range]) -> BitField:
    """Return numbers that were asked for if all can be given.  Raises BadValue, NumbersTaken."""
    if not numbers:
        raise BadValue(gettext("must name a number, such as 100-199"), field="numbers")
    if numbers.first < row.next_number:
        raise NumbersTaken(
            gettext("numbers below {number} were already assigned").format(number=row.next_number),
            field="numbers",
        )
    end = numbers.ranges[-1][1]
    if end > min(row.next_number + AHEAD_MAX, NUMBER_MAX):
        most = row.next_number + AHEAD_MAX - 1
        reason = gettext(
            "must be at most {limit}: after a restore, only that many numbers are skipped"
        ).format(limit=most)
        raise BadValue(reason, field="numbers")
    both = numbers & barred_numbers_collect(row, allocated=allocated)
    if both:
        raise NumbersTaken(
            gettext("already taken (reserved, on a host or on chain): {numbers}").format(
                numbers=numbers_format(both)
            ),
            field="numbers",
        )
    row.save(update_fields=["next_number", "skipped_at"])
    return numbers


@transaction.atomic
def reservation_end(
    miner: Miner, *, uuid: str, event: str, principal: Principal, now: datetime
) -> NumberReservation:
    """Note that reserved numbers were used (`USE`) or are not needed (`RELEASE`): nobody gets them again.

    Raises NotAllowed, ReservationUnknown, WrongState.
    """
    _require_allowed(principal)
    rows = NumberReservation.objects.select_for_update(of=("self",)).filter(miner=miner)
    row = rows.filter(uuid=uuid).first() if is_uuid(uuid) else None
    if row is None:
        raise ReservationUnknown(uuid)
    advance(row, event, updated_at=now)
    action = f"sector.numbers-{event.lower()}"
    audit_record(
        principal=principal, action=action, target=miner.address, after={"name": row.name, "count": row.count}
    )
    publish(Change("role", miner.pk, miner.tenant_id))
    return row


@transaction.atomic
def leases_expire(*, now: datetime) -> int:
    """End the leases of numbers whose time is over; returns how many."""
    rows = NumberReservation.objects.select_for_update(of=("self",), skip_locked=True).select_related("miner")
    lapsed = list(rows.filter(state=ReservationState.RESERVED, expires_at__lt=now).order_by("pk"))
    for row in lapsed:
        advance(row, "EXPIRE", updated_at=now)
        publish(Change("role", row.miner_id, row.miner.tenant_id))
    return len(lapsed)


@transaction.atomic
def sectorid_export(
    miner: Miner, *, principal: Principal, now: datetime, allocated: Sequence[range] = ()
) -> int:
    """Return what filguard's file is to hold, greater than every number given; the pool gives no more.

    Again is the same number, for whoever was killed before the file was written, or a greater one where the
    chain has allocated more or the pool was restored.  Raises NotAllowed.
    """
    _require_allowed(principal)
    restored_at = restore_check(now=now).restored_at
    counter = SectorNumbers.objects.select_for_update().filter(miner=miner).first()
    # By the locked row: another may have exported it this moment.
    exported = None if counter is None or counter.exported_at is None else counter
    row = exported or numbers_lock(miner, now=now)
    restored_skip(row, restored_at=restored_at)  # it may have been imported, and gone on, since the backup
    barred = barred_numbers_collect(row, allocated=allocated).ranges
    number = row.next_number = max(row.next_number, barred[-1][1] if barred else 0)
    row.exported_at = row.exported_at or now
    row.save(update_fields=["next_number", "skipped_at", "exported_at"])
    if exported is not None:
        return number
    audit_record(
        principal=principal, action="sector.numbers-export", target=miner.address, after={"sectorid": number}
    )
    publish(Change("role", miner.pk, miner.tenant_id))
    return number


@transaction.atomic
def sectorid_import(miner: Miner, *, number: int, principal: Principal) -> int:
    """Go on after filguard's number, which may be the last that it gave; returns the next.

    It never goes back: a smaller number than ours changes nothing.  Raises NotAllowed, BadValue.
    """
    _require_allowed(principal)
    if not 0 <= number < NUMBER_MAX:
        raise BadValue(gettext("must be a sector number"), field="sectorid")
    counter_load(miner)
    row = SectorNumbers.objects.select_for_update().get(miner=miner)
    row.next_number, row.exported_at = max(row.next_number, number + 1), None
    row.save(update_fields=["next_number", "exported_at"])
    after = {"sectorid": number, "next_number": row.next_number}
    audit_record(principal=principal, action="sector.numbers-import", target=miner.address, after=after)
    publish(Change("role", miner.pk, miner.tenant_id))
    return row.next_number


def numbers_format(field: BitField) -> str:
    """Write numbers as lotus-miner does: 5-9,12."""
    parts = [f"{start}-{end - 1}" if end - start > 1 else str(start) for start, end in field.ranges[:20]]
    return ",".join(parts) + (",…" if len(field.ranges) > 20 else "")


NUMBER_DIGITS_MAX: Final = 19
"""Decimal digits of the largest sector number."""


def numbers_parse(text: str) -> BitField:
    """Read numbers as lotus-miner does: 5-9,12.  Raises BadValue."""
    spans = []
    for part in text.replace(" ", "").split(","):
        first, mark, last = part.partition("-")
        if not (first.isascii() and first.isdigit() and (not mark or (last.isascii() and last.isdigit()))):
            raise BadValue(gettext("enter numbers such as 100-199,205"), field="numbers")
        is_short = max(len(first), len(last)) <= NUMBER_DIGITS_MAX
        start, end = (int(first), int(last or first) + 1) if is_short else (0, 0)
        if not start < end <= NUMBER_MAX:
            raise BadValue(
                gettext("{part} is not a valid range of sector numbers").format(part=part[:40]),
                field="numbers",
            )
        spans.append(BitField(((start, end),)))
    return bitfield_union(spans)


def _require_allowed(principal: Principal) -> None:
    if not principal.may("sign"):
        raise NotAllowed(gettext("assigning sector numbers requires the sign permission"))
