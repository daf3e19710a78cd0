"""`manage.py deadlines`: the deadlines of a miner, and compacting the partitions of one."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from apps.api.management.caller import COMMAND
from apps.api.management.words import confirm, facts, refusals_as_command_errors
from apps.api.v1.deadline_compaction import compaction_body
from apps.api.v1.dry_run import verdicts_body
from apps.api.v1.proving import context_require
from apps.core.management.any_order import AnyOrderCommand
from apps.miners.selectors.miners import miner_get
from apps.proving.selectors.deadlines import deadlines_of
from apps.proving.services.compaction import (
    compactable_partitions_list,
    compaction_plan,
    compaction_send,
    compaction_verdicts_read,
)


class Command(AnyOrderCommand):
    """List deadlines; compact one once that is confirmed."""

    help = "list f01000; compact f01000 --deadline 3 [0 1] [--dry-run]: by default all compactable partitions"

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Define the arguments."""
        parser.add_argument("act", choices=["list", "compact"])
        parser.add_argument("miner", help="address of the miner, such as f01000")
        parser.add_argument("partitions", nargs="*", type=int, help="for compact: partitions, such as 0 1")
        parser.add_argument("--deadline", type=int, default=-1, help="for compact: index of the deadline")
        parser.add_argument("--dry-run", action="store_true", help="only show what it would do and cost")
        parser.add_argument("--yes", action="store_true", help="skip the confirmation")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Write a line for each deadline, or for each fact of the compaction."""
        with refusals_as_command_errors():
            miner = miner_get(COMMAND, options["miner"])
            if options["act"] == "list":
                for row in deadlines_of(miner):
                    can = ",".join(map(str, compactable_partitions_list(row))) or "none"
                    counts = f"{row.partitions_count} partitions, {row.live} live, {row.faulty} faulty"
                    self.stdout.write(f"{row.index}: opens {row.open_epoch}, {counts}, compactable: {can}")
                return
            context, index = context_require(), options["deadline"]
            plan = compaction_plan(miner, index=index, partitions=options["partitions"], context=context)
            verdicts = compaction_verdicts_read(miner, plan=plan, by=COMMAND)
            for line in facts(compaction_body(plan) | verdicts_body(verdicts)):
                self.stdout.write(line)
            if options["dry_run"]:
                return
            confirm(f"compact {index}", is_needed=not options["yes"])
            _plan, message = compaction_send(
                miner, index=index, partitions=options["partitions"], by=COMMAND, context=context
            )
        self.stdout.write(f"sent: {message.pk}")
