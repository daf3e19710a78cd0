"""Print the table of commands that `python -m poolsite` has: what REST's document declares."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from django.core.management.base import BaseCommand
from drf_spectacular.generators import SchemaGenerator

from poolsite.command.acts import acts_markdown, acts_of

if TYPE_CHECKING:
    from django.core.management.base import CommandParser


class Command(BaseCommand):
    """Prints it."""

    help = "Print poolsite/command/acts.json, or docs/commands.md."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the way to the page."""
        parser.add_argument("--markdown", action="store_true", help="as a page for people")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Print it."""
        document = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]  # drf-spectacular's
        acts = acts_of(document)
        if options["markdown"]:
            self.stdout.write(acts_markdown(acts), ending="")
            return
        lines = [msgspec.json.encode(act).decode() for act in acts]
        self.stdout.write("[\n" + ",\n".join(lines) + "\n]")
