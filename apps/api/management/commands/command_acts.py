"""Print the table of the commands of `python -m poolsite`, made from REST's document."""

from __future__ import annotations

from typing import Any

import msgspec
from django.core.management.base import BaseCommand
from drf_spectacular.generators import SchemaGenerator

from poolsite.command.acts import acts_of


class Command(BaseCommand):
    help = "Print poolsite/command/acts.json."

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Print a line for each command."""
        document = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]  # drf-spectacular's
        lines = [msgspec.json.encode(act).decode() for act in acts_of(document)]
        self.stdout.write("[\n" + ",\n".join(lines) + "\n]")
