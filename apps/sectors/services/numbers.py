"""Giving out sector numbers: unique per miner, never used twice, none that the chain knows already.

Pledges take the next ones; others' sealers lease some, or a name reserves a range, as with lotus-miner's
`sectors numbers reserve`.  What was given once is never given again, whatever becomes of it: who had it may
have used it without telling.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from django.db import transaction

from apps.core.local_time import minute_text
from apps.core.marked_texts import gettext
from apps.messages.services.recovery.detect import restore_check
from apps.miners.models import Miner
from apps.sectors.errors.numbers import NumbersElsewhere, NumbersExhausted
from apps.sectors.models import NumberReservation, SectorNumbers
from poolsite.filecoin.bitfield import (
    BitField,
    bitfield_from_json,
    bitfield_of,
    bitfield_of_runs,
    bitfield_union,
)

NUMBER_MAX: Final = 2**63 - 2
"""Largest sector number that is given out; the chain takes one more (go-state-types abi MaxSectorNumber),
which would leave no room for the counter behind it."""

RESTORE_SKIP: Final = 10_000
"""Numbers that are passed over after a restore: hosts may have files of sectors that the backup lacks, and
the chain does not know those numbers yet."""


def counter_load(miner: Miner) -> SectorNumbers:
    """Return a miner's counter; a new one is given away, where another program has had the miner till now."""
    defaults = {"exported_at": miner.created_at} if miner.is_held else {}
    row, _ = SectorNumbers.objects.get_or_create(miner=miner, defaults=defaults)
    return row


def numbers_lock(miner: Miner, *, now: datetime) -> SectorNumbers:
    """Lock a miner's counter; after a restore it has passed over what the backup may lack.

    Raises NumbersElsewhere while another program gives the numbers out.
    """
    restored_at = restore_check(now=now).restored_at
    counter_load(miner)
    row = SectorNumbers.objects.select_for_update().get(miner=miner)
    if row.exported_at is not None:
        when = minute_text(row.exported_at)
        raise NumbersElsewhere(
            gettext(
                "another program has assigned {miner}'s sector numbers since {when}: import its sectorid "
                "file first"
            ).format(miner=miner, when=when),
            field="miner",
        )
    restored_skip(row, restored_at=restored_at)
    return row


def restored_skip(row: SectorNumbers, *, restored_at: datetime | None) -> None:
    """Pass over what a backup may lack, once after each restore; the caller locks and saves the row."""
    if restored_at is not None and (row.skipped_at is None or row.skipped_at < restored_at):
        row.next_number, row.skipped_at = row.next_number + RESTORE_SKIP, restored_at


def barred_numbers_collect(row: SectorNumbers, *, allocated: Sequence[range]) -> BitField:
    """Return the numbers from a counter on that are not given: on chain, on a host, of a sector, reserved."""
    reserved = NumberReservation.objects.filter(miner=row.miner, last__gte=row.next_number)
    return bitfield_union(
        [
            bitfield_union(BitField(((span.start, span.stop),)) for span in allocated if span),
            bitfield_from_json(row.on_hosts or [0]),
            bitfield_of(
                row.miner.sectors.filter(number__gte=row.next_number)
                .order_by()
                .values_list("number", flat=True)
            ),
            *(bitfield_of_runs(runs) for runs in reserved.values_list("runs", flat=True)),
        ]
    )


@transaction.atomic
def numbers_allocate(miner: Miner, *, count: int, now: datetime, allocated: Sequence[range]) -> list[int]:
    """Allocate the next `count` numbers that are not in `allocated`, on the chain, reserved, or on a host.

    The miner's row is locked and its counter only grows: a number that was given out once is gone,
    whatever becomes of its sector.  Raises NumbersExhausted, NumbersElsewhere.
    """
    row = numbers_lock(miner, now=now)
    numbers: list[int] = []
    number = row.next_number
    spans, at = barred_numbers_collect(row, allocated=allocated).ranges, 0
    while len(numbers) < count:
        while at < len(spans) and spans[at][1] <= number:
            at += 1
        if at < len(spans) and spans[at][0] <= number:
            number = spans[at][1]
            continue
        if number > NUMBER_MAX:
            raise NumbersExhausted(gettext("{miner} has no free sector number left").format(miner=miner))
        numbers.append(number)
        number += 1
    row.next_number = number
    row.save(update_fields=["next_number", "skipped_at"])
    return numbers
