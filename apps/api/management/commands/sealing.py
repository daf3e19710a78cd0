"""`manage.py sealing`: what hosts are at, and how a miner stands, as lotus-miner's `sealing` and `info`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError

from apps.api.v1.hosts import detail_body
from apps.api.v1.miners import miner_body
from apps.core.errors import DomainError
from apps.miners.selectors import miner_get, miners_visible
from apps.sectors.host_selectors import workers_visible
from apps.sectors.selectors import sectors_visible
from apps.users.principals import SYSTEM

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(BaseCommand):
    """Read only: acts are on `manage.py sectors`, on pages and over REST."""

    help = "jobs: what each host does now; workers: the hosts; info [MINER]: miners with power and balances"

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Define the arguments."""
        parser.add_argument("what", choices=["jobs", "workers", "info"])
        parser.add_argument("miner", nargs="?", default="", help="of info: its address; without it all")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Write it, a line for each fact."""
        if options["what"] == "info":
            self._info(options["miner"])
        elif options["what"] == "jobs":
            self._jobs()
        else:
            self._workers()

    def _jobs(self) -> None:
        for worker in workers_visible(SYSTEM):
            for job in getattr(worker, "held_jobs", ()):
                number = "" if job.sector is None else f" / {job.sector.number}"
                self.stdout.write(f"{worker.name}: {job.stage} of {job.miner}{number}, job {job.uuid}")

    def _workers(self) -> None:
        for worker in workers_visible(SYSTEM):
            for name, value in detail_body(worker).items():
                self.stdout.write(f"{name}: {value}")
            self.stdout.write("")

    def _info(self, address: str) -> None:
        try:
            miners = [miner_get(SYSTEM, address)] if address else list(miners_visible(SYSTEM))
        except DomainError as refusal:
            raise CommandError(refusal.reason) from None
        for miner in miners:
            for name, value in miner_body(miner).items():
                self.stdout.write(f"{name}: {value}")
            states: dict[str, int] = {}
            rows = sectors_visible(SYSTEM).select_related(None).order_by().filter(miner=miner)
            for state in rows.values_list("state", flat=True).iterator():
                states[state] = states.get(state, 0) + 1
            for state, count in sorted(states.items()):
                self.stdout.write(f"sectors {state}: {count}")
            self.stdout.write("")
