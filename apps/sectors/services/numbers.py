"""Giving out sector numbers: unique per miner, never used twice, none that the chain knows already."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.db import transaction

from apps.messages.selectors.recovery import recovery_row
from apps.sectors.errors import NumbersExhausted
from apps.sectors.models import SectorNumbers
from poolsite.filecoin.bitfield import bitfield_from_json, bitfield_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from apps.miners.models import Miner

NUMBER_MAX: Final = 2**63 - 2
"""Largest sector number that is given out; the chain takes one more (go-state-types abi MaxSectorNumber),
which would leave no room for the counter behind it."""

RESTORE_SKIP: Final = 10_000
"""Numbers that are passed over after a restore: hosts may have files of sectors that the backup lacks, and
the chain does not know those numbers yet."""


@transaction.atomic
def numbers_allocate(miner: Miner, *, count: int, taken: Sequence[range]) -> list[int]:
    """Allocate the next `count` numbers that are not in `taken`, on the chain, or on a host.

    The miner's row is locked and its counter only grows: a number that was given out once is gone,
    whatever becomes of its sector.  Raises NumbersExhausted.
    """
    SectorNumbers.objects.get_or_create(miner=miner)
    row = SectorNumbers.objects.select_for_update().get(miner=miner)
    numbers: list[int] = []
    restored_at = recovery_row().restored_at
    if restored_at is not None and (row.skipped_at is None or row.skipped_at < restored_at):
        row.next_number, row.skipped_at = row.next_number + RESTORE_SKIP, restored_at
    number = row.next_number
    known = bitfield_from_json(row.on_hosts or [0]) | bitfield_of(
        miner.sectors.filter(number__gte=number).order_by().values_list("number", flat=True)
    )
    spans = sorted([*taken, *(range(*span) for span in known.ranges)], key=lambda span: span.start)
    at = 0
    while len(numbers) < count:
        while at < len(spans) and spans[at].stop <= number:
            at += 1
        if at < len(spans) and number in spans[at]:
            number = spans[at].stop
            continue
        if number > NUMBER_MAX:
            raise NumbersExhausted(f"{miner} has no free sector number left")
        numbers.append(number)
        number += 1
    row.next_number = number
    row.save(update_fields=["next_number", "skipped_at"])
    return numbers
