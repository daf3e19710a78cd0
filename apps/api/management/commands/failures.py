"""`manage.py failures`: paused sectors by what went wrong, and going on with a whole group."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError

from apps.api.management.words import facts, refusals_told
from apps.api.v1.sector_failures import group_body
from apps.core import clock
from apps.sectors.failures import failures_grouped
from apps.sectors.services.failures import failures_retry
from apps.users.principals import SYSTEM

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(BaseCommand):
    """List the groups, or retry one."""

    help = "list; retry FINGERPRINT [--state X]: from the stage that failed, or from an earlier state"

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Define the arguments."""
        parser.add_argument("act", choices=["list", "retry"])
        parser.add_argument(
            "fingerprint", nargs="?", default="", help="of retry: the group, as `list` names it"
        )
        parser.add_argument("--state", help="of retry: an earlier state")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Do it and write a line for each fact."""
        if options["act"] == "list":
            for group in failures_grouped(SYSTEM):
                for line in facts(group_body(group)):
                    self.stdout.write(line)
                self.stdout.write("")
            return
        if not options["fingerprint"]:
            raise CommandError("name the group by its fingerprint")
        with refusals_told():
            done, refused = failures_retry(
                options["fingerprint"], by=SYSTEM, now=clock.now(), state=options["state"]
            )
        for sector in done:
            self.stdout.write(f"{sector.miner} / {sector.number}: retried")
        for sector, why in refused:
            self.stdout.write(f"{sector.miner} / {sector.number}: {why}")
