"""Which sectors `manage.py sectors extend --from --to` is about: those that end in a range of epochs."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

from django.core.management.base import CommandError

from apps.api.management.caller import COMMAND
from apps.api.v1.sector_epochs import head_and_network
from apps.core.formatting import fil
from apps.miners.selectors.miners import miner_get
from apps.sectors.rules.params import has_data
from apps.sectors.selectors.expirations import sectors_expiring
from apps.sectors.services.changes.plans import ChangePlan
from apps.sectors.services.changes.steps import CHANGES_MAX
from apps.sectors.services.reservations import numbers_parse
from poolsite.filecoin.amounts import BadAmount, fil_parse
from poolsite.filecoin.policy import EPOCHS_PER_DAY_MAINNET

if TYPE_CHECKING:
    from apps.sectors.models import Sector

FROM: Final = 120
"""Epochs from the head on: one hour."""
TO: Final = 92_160
"""Epochs from the head on: 32 days.  Source: lotus cli/spcli/sectors.go SectorsExtendCmd."""
TOLERANCE: Final = 7 * EPOCHS_PER_DAY_MAINNET
CHOSEN_MAX: Final = 10_000


def expiring_arguments(parser: ArgumentParser) -> None:
    """Define what narrows an extension."""
    parser.add_argument(
        "--from", dest="ends_from", type=int, help="for extend: sectors that end at this epoch or later"
    )
    parser.add_argument("--to", dest="ends_to", type=int, help="for extend: sectors that end by this epoch")
    parser.add_argument("--exclude", default="", help="for extend: leave these out, such as 5,7-9")
    parser.add_argument("--only-cc", action="store_true", help="for extend: only sectors without data")
    parser.add_argument(
        "--max-sectors", type=int, default=CHOSEN_MAX, help="for extend by epochs: at most this many"
    )
    parser.add_argument(
        "--tolerance",
        type=int,
        default=TOLERANCE,
        help="for extend by epochs: skip sectors that would gain fewer epochs",
    )
    parser.add_argument("--max-fee", type=str, help="for extend: maximum gas cost of all messages, in FIL")


def is_by_epochs(options: dict[str, Any]) -> bool:
    """Return whether sectors are chosen by when they end."""
    return options["ends_from"] is not None or options["ends_to"] is not None


def expiring_groups(options: dict[str, Any]) -> Iterator[list[Sector]]:
    """Yield a miner's sectors that end in the range, soonest first, as many as one request takes.

    Raises CommandError, MinerUnknown.
    """
    miner, (head, _) = miner_get(COMMAND, options["miner"]), head_and_network()
    first = head.height + FROM if options["ends_from"] is None else options["ends_from"]
    last = head.height + TO if options["ends_to"] is None else options["ends_to"]
    if last < first:
        raise CommandError(f"--to: epoch {last} is before epoch {first}")
    left_out = set(numbers_parse(options["exclude"])) if options["exclude"] else set()
    after: tuple[int, int] | None = None
    while rows := sectors_expiring(
        COMMAND, miner, start=first, before=last + 1, after=after, limit=CHANGES_MAX
    ):
        chosen = [row for row in rows if row.number not in left_out]
        if options["only_cc"]:
            chosen = [row for row in chosen if not has_data(row)]
        if chosen:
            yield chosen
        after = rows[-1].expiration or 0, rows[-1].pk


def first_accepted(plan: ChangePlan, *, limit: int, without: set[int]) -> list[Sector]:
    """Return a plan's sectors, but for the keys in `without`, until `limit` of them can be extended."""
    wanted: list[Sector] = []
    count = 0
    for one in plan.sectors:
        if count == limit:
            break
        if one.sector.pk not in without:
            count += not one.refusal
            wanted.append(one.sector)
    return wanted


def fee_check(plans: Iterable[ChangePlan], *, limit: str) -> None:
    """Check that the gas of all messages is known and within a limit in FIL.  Raises CommandError."""
    try:
        most = fil_parse(limit)
    except BadAmount as error:
        raise CommandError(f"--max-fee: {error}") from None
    gas = [plan.gas_max for plan in plans if plan.accepted]
    if None in gas:
        raise CommandError("--max-fee: the gas cost is unknown, as the node could not simulate the messages")
    if (total := sum(one or 0 for one in gas)) > most:
        raise CommandError(f"gas may cost up to {fil(total)} FIL, more than --max-fee")


def too_short(plan: ChangePlan, *, tolerance: int) -> set[int]:
    """Return the keys of the sectors that an extension would give fewer epochs than wanted."""
    return {
        one.sector.pk
        for one in plan.accepted
        if one.after is not None
        and one.live is not None
        and one.after.expiration - one.live.expiration < tolerance
    }
