"""`manage.py stores`: which stores there are, what one holds, and forgetting one that is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError

from apps.core import clock
from apps.core.errors import DomainError
from apps.sectors.services.lost_stores import lost_store, store_forget
from apps.sectors.store_selectors import store_sector_counts, store_standing, stores_visible
from apps.users.principals import SYSTEM

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from apps.sectors.store_models import Store


class Command(BaseCommand):
    """List stores, show one, or forget one."""

    help = "stores: list, show NAME, forget NAME (without --confirm NAME it only says what is lost)"

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Define the arguments."""
        parser.add_argument("act", choices=["list", "show", "forget"])
        parser.add_argument("name", nargs="?", default="", help="name or uuid of the store")
        parser.add_argument("--tenant", default="", help="of the store, where two have one of this name")
        parser.add_argument("--confirm", default="", help="of forget: the store's name once more")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Do it and write a line for each fact."""
        now = clock.now()
        if options["act"] == "list":
            for store in stores_visible(SYSTEM, now=now):
                standing = store_standing(store, now=now).condition
                self.stdout.write(f"{store.uuid} {store.tenant.name} {store.name} {standing} {store.sectors}")
            return
        store = self._store(options["name"], options["tenant"])
        if options["act"] == "show":
            self.stdout.write(f"condition: {store_standing(store, now=now).condition}")
            for state, count in sorted(store_sector_counts(store).items()):
                self.stdout.write(f"{state}: {count}")
            return
        try:
            lost = lost_store(store, now=now)
            if options["confirm"]:
                lost = store_forget(store, confirm=options["confirm"], now=now, by=SYSTEM)
        except DomainError as refusal:
            raise CommandError(refusal.reason) from None
        for name in ("refusal", "proving", "under_way", "size", "pledge"):
            self.stdout.write(f"{name}: {getattr(lost, name)}")
        for sector in lost.named:
            self.stdout.write(f"sector: {sector.miner.address} {sector.number} {sector.state}")
        self.stdout.write(f"forgotten: {'yes' if options['confirm'] else 'no, it was only asked'}")

    def _store(self, name: str, tenant: str) -> Store:
        rows = [
            store
            for store in stores_visible(SYSTEM, now=clock.now())
            if name in (store.name, str(store.uuid)) and tenant in ("", store.tenant.name)
        ]
        if len(rows) != 1:
            raise CommandError(f"{len(rows)} stores are called {name}: name the tenant or the uuid")
        return rows[0]
