"""`manage.py planner`: what hosts would make in a day, as page *Planner* shows it."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from apps.api.management.caller import COMMAND
from apps.api.management.words import facts, refusals_as_command_errors, values_of
from apps.api.v1.planner import planner_body
from apps.core.management.any_order import AnyOrderCommand


class Command(AnyOrderCommand):
    """Simulate the farm; what is not named is as it is now."""

    help = "[f01000] [hosts=2 slots_PC1=4 s_PC1=9000 …]: names as in /api/v1/planner"

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Define the arguments."""
        parser.add_argument("words", nargs="*", help="address of the miner, then name=value")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Write a line for each fact."""
        arguments = list(options["words"])
        address = arguments.pop(0) if arguments and "=" not in arguments[0] else ""
        with refusals_as_command_errors():
            body = planner_body(COMMAND, address, values_of(arguments))
        for line in facts(body):
            self.stdout.write(line)
