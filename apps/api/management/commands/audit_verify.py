"""`manage.py audit_verify`: check the audit log's chain of hashes from its first line."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.users.selectors.audit_search import chain_check


class Command(BaseCommand):
    """Exit code 1 names the first line that was changed."""

    help = "Verify the hash chain of the audit log from its first entry."

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Walk the chain."""
        found = chain_check()
        if found.broken is not None:
            raise CommandError(
                f"entry {found.broken} was changed; the chain is intact up to entry {found.to}"
            )
        self.stdout.write(f"verified up to entry {found.to}")
