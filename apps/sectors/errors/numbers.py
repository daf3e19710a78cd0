"""Refusals about a miner's sector numbers and their reservations."""

from __future__ import annotations

from apps.core.errors import Conflict, NotFound
from apps.core.marked_texts import gettext


class NumbersExhausted(Conflict):
    """The miner has no free sector number left."""

    code = "numbers_exhausted"


class NumbersElsewhere(Conflict):
    """Another program gives the miner's sector numbers out."""

    code = "numbers_elsewhere"


class NumbersTaken(Conflict):
    """Some of the numbers that were asked for cannot be given any more."""

    code = "numbers_taken"


class ReservationUnknown(NotFound):
    """The miner has no such reservation of numbers."""

    code = "reservation_unknown"

    def __init__(self, uuid: object) -> None:
        super().__init__(
            gettext("there is no reservation {uuid} here").format(uuid=uuid), field="reservation"
        )
