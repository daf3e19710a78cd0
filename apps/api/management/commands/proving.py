"""`manage.py proving`: windows, faults and checks of a miner, a dry run, and declaring faults recovered."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

from django.core.management.base import CommandError

from apps.api.management.caller import COMMAND
from apps.api.management.words import facts, refusals_as_command_errors
from apps.api.v1.miner_deadlines import deadline_body, partitions_body
from apps.api.v1.proving import check_body, context_require
from apps.api.v1.sector_recoveries import fault_body, sector_recovery_body
from apps.chain.selectors.network import network_current
from apps.core.formatting import plural
from apps.core.management.any_order import AnyOrderCommand
from apps.miners.selectors.miners import miner_get
from apps.proving.selectors.checks import checks_latest
from apps.proving.selectors.deadlines import deadline_of, deadlines_of
from apps.proving.selectors.faults import faults_of
from apps.proving.selectors.recoveries import recoveries_latest
from apps.proving.services.recovery_requests import recoveries_request
from apps.proving.services.trials import deadline_dry_run, sector_test
from poolsite.filecoin.deadlines import current_deadline

if TYPE_CHECKING:
    from apps.miners.models import Miner

SHOWN = 20
"""Checks in a list."""


class Command(AnyOrderCommand):
    """Show what is proven, or begin a check, a dry run or a recovery."""

    help = (
        "info f01000; deadlines f01000; deadline f01000 3 [--sector-nums]; faults f01000; checks f01000; "
        "recoveries f01000; check f01000 12 (a sector's files); dry-run f01000 3 [--partition 0]; "
        "recover f01000 3 [12 13]: check these faulty sectors of deadline 3 now, or all, and declare the good"
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Define the arguments."""
        acts = [
            "info",
            "deadlines",
            "deadline",
            "faults",
            "checks",
            "recoveries",
            "check",
            "dry-run",
            "recover",
        ]
        parser.add_argument("act", choices=acts)
        parser.add_argument("miner", help="address of the miner, such as f01000")
        parser.add_argument(
            "numbers",
            nargs="*",
            type=int,
            help="a deadline; of `check` sectors, of `recover` sectors after it",
        )
        parser.add_argument("--sector-nums", action="store_true", help="of deadline: the sectors' numbers")
        parser.add_argument("--partition", type=int, help="of dry-run: this partition only")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Write a line for each row, or for what was begun."""
        act, numbers = options["act"], options["numbers"]
        if act in ("deadline", "dry-run", "recover", "check") and not numbers:
            raise CommandError("name the sectors" if act == "check" else "name the deadline")
        with refusals_as_command_errors():
            miner = miner_get(COMMAND, options["miner"])
            if act == "deadline":
                rows = _deadline(miner, numbers[0], has_sectors=options["sector_nums"])
            elif act == "dry-run":
                rows = _dry_run(miner, numbers[0], only=options["partition"])
            elif act in WITH_NUMBERS:
                rows = WITH_NUMBERS[act](miner, numbers)
            else:
                rows = LISTS[act](miner)
            for line in rows:
                self.stdout.write(line)


def _line(body: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in body.items())


def _info(miner: Miner) -> Iterator[str]:
    """Return the facts of `lotus-miner proving info`, in its order."""
    rows, height = list(deadlines_of(miner)), context_require().head.height
    faulty, live = (sum(getattr(row, name) for row in rows) for name in ("faulty", "live"))
    yield f"Miner: {miner}"
    yield f"Faults: {faulty} ({faulty / live if live else 0:.2%})"
    yield f"Recovering: {sum(row.recovering for row in rows)}"
    if miner.proving_period_start is None:
        return
    params = network_current().proving
    now = current_deadline(miner.proving_period_start, height, params)
    yield f"Proving Period Boundary: {miner.proving_period_start % params.period}"
    yield f"Proving Period Start: {now.period_start}"
    yield f"Next Period Start: {now.period_start + params.period}"
    yield f"Deadline Index: {now.index}"
    yield f"Deadline Sectors: {sum(row.live for row in rows if row.index == now.index)}"
    yield f"Deadline Open: {now.open}"
    yield f"Deadline Close: {now.close}"
    yield f"Deadline Challenge: {now.challenge}"
    yield f"Deadline FaultCutoff: {now.fault_cutoff}"


def _deadlines(miner: Miner) -> Iterator[str]:
    for row in deadlines_of(miner):
        counts = f"{row.partitions_count} partitions, {row.live} live, {row.faulty} faulty"
        yield f"{row.index}: opens {row.open_epoch}, {counts}, {row.recovering} recovering, {row.forecast}"


def _deadline(miner: Miner, index: int, *, has_sectors: bool) -> Iterator[str]:
    row = deadline_of(miner, index)
    if row is None:
        raise CommandError(f"{miner} has no deadline {index}")
    yield from facts(deadline_body(row))
    for part in partitions_body(row):
        at = f"partition {part.pop('index')}"
        yield f"{at}: " + ", ".join(
            f"{name} {' '.join(map(str, found)) or 'none'}" if has_sectors else f"{len(found)} {name}"
            for name, found in part.items()
        )


def _check(miner: Miner, numbers: list[int]) -> Iterator[str]:
    for number in numbers:
        run = sector_test(miner, number=number, principal=COMMAND, context=context_require())
        yield f"checking sector {number} of deadline {run.deadline_index}: see `checks`"


def _dry_run(miner: Miner, index: int, *, only: int | None) -> Iterator[str]:
    runs = deadline_dry_run(miner, index=index, only=only, principal=COMMAND, context=context_require())
    for run in runs:
        parts = ", ".join(map(str, run.partitions))
        yield f"proving {plural(run.count, 'sector')} of partition {parts}: see `checks`"


def _recover(miner: Miner, numbers: list[int]) -> Iterator[str]:
    index, *sectors = numbers
    rows = recoveries_request(miner, index=index, numbers=sectors, by=COMMAND, context=context_require())
    for row in rows:
        named = " ".join(map(str, row.sectors))
        yield f"checking {named} of partition {row.partition_index}: the good are declared, see `recoveries`"


def _faults(miner: Miner) -> Iterator[str]:
    yield from map(_line, map(fault_body, faults_of(deadlines_of(miner).filter(faulty__gt=0))))


def _checks(miner: Miner) -> Iterator[str]:
    yield from map(_line, map(check_body, checks_latest([miner])[:SHOWN]))


def _recoveries(miner: Miner) -> Iterator[str]:
    yield from map(_line, map(sector_recovery_body, recoveries_latest(miner)))


LISTS: Final[dict[str, Callable[[Miner], Iterator[str]]]] = {
    "info": _info,
    "deadlines": _deadlines,
    "faults": _faults,
    "checks": _checks,
    "recoveries": _recoveries,
}
WITH_NUMBERS: Final[dict[str, Callable[[Miner, list[int]], Iterator[str]]]] = {
    "check": _check,
    "recover": _recover,
}
