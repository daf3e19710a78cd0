"""`manage.py bootstrap`: tenant, operator and tokens of a fresh pool; with --miner, its miner."""

from __future__ import annotations

import os
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.users.bootstrap import pool_prepare
from apps.users.private_files import DamagedFile


class Command(BaseCommand):
    """Safe to run again and again; exits with 0 once what it is for holds."""

    help = "Make the operator, the tenant 'pool' and the tokens of the pool's programs."

    def add_arguments(self, parser: CommandParser) -> None:
        """The pool's miner is a step of its own: it needs a running chain and signer."""
        parser.add_argument("--miner", action="store_true", help="make the pool's miner and wait for nothing")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Run one step."""
        if not options["miner"]:
            self.prepare()

    def prepare(self) -> None:
        """Tenant, operator, tokens, files."""
        url = os.environ.get("POOLSITE_URL") or f"http://localhost:{os.environ.get('PORT', '8000')}"
        path = settings.VAR / "operator.json"
        try:
            entry = pool_prepare(var=settings.VAR, url=url)
        except DamagedFile as error:
            raise CommandError(
                f"{path} is damaged ({error}): restore it, or remove it and a new token will be made"
            ) from None
        except OSError as error:
            raise CommandError(f"{error.filename or path} cannot be written: {error.strerror}") from None
        self.stdout.write(f"Open {entry['url']}")
        if "password" in entry:
            self.stdout.write(
                f"Log in as {entry['username']} with the password {entry['password']} "
                "(valid until you change it)"
            )
