"""`manage.py failures`: what failed, by what went wrong, and going on with a whole group."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from apps.api.management.caller import COMMAND
from apps.api.management.words import confirm, facts, plan_lines, refusals_as_command_errors
from apps.api.v1.sector_failures import group_body
from apps.core import clock
from apps.core.management.any_order import AnyOrderCommand
from apps.proving.services.failures import failures_retry, retried_describe
from apps.sectors.selectors.failures import (
    CHANGES,
    FailureGroup,
    change_request_read,
    failure_find,
    failures_grouped,
)
from apps.sectors.selectors.sealing_context import sealing_context_read
from apps.sectors.selectors.stopped_work import COMPACT
from apps.sectors.services.changes.plans import changes_plan


class Command(AnyOrderCommand):
    """List the groups, or retry one."""

    help = "list; retry FINGERPRINT [--state X]: from the stage that failed, or from an earlier state"

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Define the arguments."""
        parser.add_argument("act", choices=["list", "retry"])
        parser.add_argument(
            "fingerprint", nargs="?", default="", help="for retry: the group, as shown by `list`"
        )
        parser.add_argument("--state", help="for retry: an earlier state")
        parser.add_argument("--yes", action="store_true", help="skip the confirmation")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Do it and write a line for each fact."""
        if options["act"] == "list":
            for group in failures_grouped(COMMAND):
                for line in facts(group_body(group)):
                    self.stdout.write(line)
                self.stdout.write("")
            return
        if not options["fingerprint"]:
            raise CommandError("name the group by its fingerprint")
        with refusals_as_command_errors():
            group = failure_find(options["fingerprint"], viewer=COMMAND)
            if group.kind in (*CHANGES, COMPACT):
                self._confirm(group, is_needed=not options["yes"])
            done, refused = failures_retry(group.key, by=COMMAND, now=clock.now(), state=options["state"])
        for one in done:
            self.stdout.write(f"{retried_describe(one)}: retried")
        for one, why in refused:
            self.stdout.write(f"{retried_describe(one)}: {why}")

    def _confirm(self, group: FailureGroup, *, is_needed: bool) -> None:
        """Write what would be asked for once more, and wait for the word.  Raises CommandError."""
        if group.kind == COMPACT:
            lines, count = [f"{miner} / deadline {index}" for miner, index in group.deadlines], group.count
        else:
            work = sealing_context_read()
            plan = changes_plan(
                group.sectors,
                request=change_request_read(group),
                client=work.client,
                head=work.head,
                network=work.network,
            )
            lines, count = list(plan_lines(plan)), len(plan.accepted)
        for line in lines:
            self.stdout.write(line)
        confirm(f"{group.kind} {count}", is_needed=is_needed)
