"""Commands whose words and options come in any order."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser


class AnyOrderCommand(BaseCommand):
    """A command with words that may be missing, as `stores remove-leftovers --host HOST [NAME …]`.

    argparse takes such words for missing at the first option, and then does not know those behind it.
    """

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """Return a parser that collects the words from between the options."""
        parser = super().create_parser(prog_name, subcommand, **kwargs)
        parser.parse_args = parser.parse_intermixed_args  # type: ignore[method-assign]
        return parser
