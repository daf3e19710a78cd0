"""`manage.py sector_run`: data into a committed sector, or a lost replica once more."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError

from apps.api.management.caller import COMMAND
from apps.api.v1.sector_rebuild import plan_body
from apps.api.v1.sector_runs import price_body, run_body
from apps.core import clock
from apps.core.errors import DomainError
from apps.miners.selectors.miners import miner_get
from apps.sectors.selectors.sealing_context import sealing_context_read
from apps.sectors.selectors.sectors import sectors_by_numbers
from apps.sectors.services.runs.decisions import run_abort, run_open, run_retry
from apps.sectors.services.runs.rebuild import rebuild_begin, rebuild_plan, rebuild_verdicts_read
from apps.sectors.services.runs.snap_up import snap_up_begin
from apps.sectors.services.runs.snap_up_prices import snap_up_price
from poolsite.wire.jobs import JobKind

if TYPE_CHECKING:
    from apps.sectors.models import Sector

KINDS = {"snap-up": JobKind.SNAP_UP, "rebuild": JobKind.REBUILD}


class Command(BaseCommand):
    """Begin a snap-up or a rebuild, say what it costs, go on with one that stopped, or end one."""

    help = "snap-up or rebuild of a sector: begin (or --dry-run), retry, abort"

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Define the arguments: what, the miner and the sector's number."""
        parser.add_argument("kind", choices=sorted(KINDS))
        parser.add_argument("act", choices=["begin", "retry", "abort"])
        parser.add_argument("--miner", required=True, help="address of the miner, such as f01000")
        parser.add_argument("--number", required=True, type=int)
        parser.add_argument("--dry-run", action="store_true", help="for begin: only show what it would cost")
        parser.add_argument(
            "--piece", action="append", default=[], help="for snap-up: piece commitment; repeatable"
        )
        parser.add_argument("--state", help="for retry: an earlier state to continue from")
        parser.add_argument("--reason", default="", help="for abort: recorded reason")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Do it and write what came of it, a line for each fact."""
        try:
            miner = miner_get(COMMAND, options["miner"])
            sector = sectors_by_numbers(COMMAND, [(miner.pk, options["number"])]).get(
                (miner.pk, options["number"])
            )
            if sector is None:
                raise CommandError(f"{miner} has no sector {options['number']}")
            facts = self._act(sector, KINDS[options["kind"]], options)
        except DomainError as refusal:
            raise CommandError(refusal.reason) from None
        for name, value in facts.items():
            self.stdout.write(f"{name}: {value}")

    def _act(self, sector: Sector, kind: JobKind, options: dict[str, Any]) -> dict[str, Any]:
        if options["act"] == "retry":
            state = options["state"]
            return run_body(run_retry(run_open(sector, kind=kind), by=COMMAND, now=clock.now(), state=state))
        if options["act"] == "abort":
            reason = options["reason"]
            return run_body(
                run_abort(run_open(sector, kind=kind), reason=reason, by=COMMAND, now=clock.now())
            )
        if kind is JobKind.REBUILD:
            if options["dry_run"]:
                return plan_body(rebuild_plan(sector), rebuild_verdicts_read(sector))
            return run_body(rebuild_begin(sector, by=COMMAND, now=clock.now()))
        work = sealing_context_read()
        if options["dry_run"]:
            return price_body(snap_up_price(sector, piece_cids=options["piece"], work=work))
        return run_body(snap_up_begin(sector, piece_cids=options["piece"], by=COMMAND, work=work))
