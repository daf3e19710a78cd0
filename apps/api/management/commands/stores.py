"""`manage.py stores`: list, show, attach, detach, change, move, check, forget; what is left in them."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError

from apps.api.management.caller import COMMAND
from apps.api.management.hosts import host_by_name
from apps.api.management.leftovers import host_leftovers_remove, host_lines, store_leftovers_remove
from apps.api.management.words import checked, refusals_as_command_errors, values_of
from apps.api.v1.sector_places import place_body
from apps.api.v1.stores import StoreInput
from apps.core import clock
from apps.core.errors import DomainError
from apps.core.management.any_order import AnyOrderCommand
from apps.proving.selectors.sector_places import sector_places
from apps.sectors.selectors.sectors import sector_get
from apps.sectors.selectors.store_checks import bad_files_text, checks_of, checks_wait, copies_page
from apps.sectors.selectors.store_scans import findings_page, scans_of, sector_findings
from apps.sectors.selectors.stores import attachment_get, store_sector_counts, store_status, stores_visible
from apps.sectors.services.stores.checks import PACE, check_begin
from apps.sectors.services.stores.finding_adoptions import findings_adopt
from apps.sectors.services.stores.lost import lost_store, store_forget
from apps.sectors.services.stores.moves import moves_begin
from apps.sectors.services.stores.orders import StoreChanges, store_attach, store_change, store_detach
from apps.sectors.services.stores.redeclarations import redeclaration_begin, redeclaration_plan
from apps.sectors.services.stores.scans import scan_begin, scan_cancel
from apps.sectors.states import CopyCondition, ScanState

if TYPE_CHECKING:
    from apps.sectors.models import Store


ORDERS = ("attach", "detach", "change", "move", "check", "scan", "adopt")
"""What hosts carry out."""
READS = ("list", "show", "checks", "found")
LEFTOVERS = ("leftovers", "remove-leftovers")
CHECKS_SHOWN = 10
EVERY_STORE = "all"
"""Confirms that missing sectors of every store are dropped."""
CONFIRM_HELP = (
    f"for forget and redeclare --drop-missing: the store's name again, or {EVERY_STORE} for every store"
)


class Command(AnyOrderCommand):
    """List stores, show one, have hosts change one, or forget one."""

    help = (
        "list; show NAME; attach /path --host HOST [--new]; detach NAME --host HOST; "
        "change NAME weight=2 read_only=true labels=a,b; move NAME --to NAME --count 5; "
        "check NAME [--bytes-s 104857600] verifies its sectors' files, checks NAME lists the results; "
        "scan NAME lists the store's contents (--cancel stops the scan), found NAME lists differences from "
        "the database, adopt NAME updates the database from them; "
        "redeclare [NAME] scans one store, or all, and updates the database to match (--drop-missing: "
        "missing sectors are no longer recorded in the store, needs --confirm NAME, or all; --dry-run: only "
        "show what is known); "
        "remove-leftovers NAME [s-t01000-5 …] has a host remove leftovers that a scan found (--dry-run: only "
        "show them); leftovers --host HOST lists leftovers in its sealing folders, remove-leftovers --host "
        "HOST [NAME …] removes them; find f01000-5; forget NAME (without --confirm NAME only shows what "
        "would be lost)"
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Define the arguments."""
        parser.add_argument("act", choices=[*READS, *ORDERS, *LEFTOVERS, "redeclare", "find", "forget"])
        parser.add_argument(
            "name",
            nargs="?",
            default="",
            help="name or uuid of the store; for attach: the path; for find: a sector",
        )
        parser.add_argument(
            "values",
            nargs="*",
            help="for change: name=value, with the names of the REST API; for remove-leftovers: their names",
        )
        parser.add_argument(
            "--host",
            default="",
            help="for attach, detach, leftovers, remove-leftovers: name or ID of the host",
        )
        parser.add_argument(
            "--new", action="store_true", help="for attach: mark an empty folder as a new store"
        )
        parser.add_argument("--to", default="", help="for move: the target store")
        parser.add_argument("--count", type=int, default=0, help="for move: how many sectors")
        parser.add_argument(
            "--bytes-s", type=int, default=PACE, help="for check: read at most this many bytes per second"
        )
        parser.add_argument("--cancel", action="store_true", help="for scan: cancel the running one")
        parser.add_argument(
            "--tenant", default="", help="tenant of the store, if several stores have this name"
        )
        parser.add_argument("--confirm", default="", help=CONFIRM_HELP)
        parser.add_argument(
            "--drop-missing",
            action="store_true",
            help="for redeclare: missing sectors are no longer recorded in the store",
        )
        parser.add_argument(
            "--dry-run",
            action="store_true",
            help="for redeclare, remove-leftovers: only show what is known or would be removed",
        )
        parser.add_argument("--reason", default="", help="for remove-leftovers: reason for the audit log")
        parser.add_argument("--yes", action="store_true", help="for remove-leftovers: skip the confirmation")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Do it and write a line for each fact."""
        now = clock.now()
        if options["act"] == "list":
            self._list()
            return
        if options["act"] in ("find", "redeclare", *LEFTOVERS, *ORDERS):
            acts = {"find": self._find, "redeclare": self._redeclare}
            acts |= dict.fromkeys(LEFTOVERS, self._leftovers)
            with refusals_as_command_errors():
                acts.get(options["act"], self._order)(options)
            return
        store = self._store(options["name"], options["tenant"])
        if options["act"] == "show":
            self.stdout.write(f"condition: {store_status(store, now=now).condition}")
            for state, count in sorted(store_sector_counts(store).items()):
                self.stdout.write(f"{state}: {count}")
        elif options["act"] == "checks":
            self._checks(store)
        elif options["act"] == "found":
            self._found(store)
        else:
            self._forget(store, options)

    def _forget(self, store: Store, options: dict[str, Any]) -> None:
        """Forget a store whose name is there to confirm it, and write what is lost with it."""
        now = clock.now()
        try:
            lost = lost_store(store, now=now)
            if options["confirm"]:
                lost = store_forget(store, confirm=options["confirm"], now=now, by=COMMAND)
        except DomainError as refusal:
            raise CommandError(refusal.reason) from None
        for name in ("refusal", "proving", "under_way", "size", "pledge"):
            self.stdout.write(f"{name}: {getattr(lost, name)}")
        for sector in lost.named:
            self.stdout.write(f"sector: {sector.miner.address} {sector.number} {sector.state}")
        self.stdout.write(f"forgotten: {'yes' if options['confirm'] else 'no, this was a dry run'}")

    def _list(self) -> None:
        now = clock.now()
        for store in stores_visible(COMMAND, now=now):
            status = store_status(store, now=now).condition
            self.stdout.write(f"{store.uuid} {store.tenant.name} {store.name} {status} {store.sectors}")

    def _find(self, options: dict[str, Any]) -> None:
        sector = sector_get(COMMAND, options["name"])
        places = sector_places(sector, viewer=COMMAND, now=clock.now())
        for place in places:
            self.stdout.write(", ".join(f"{name} {value}" for name, value in place_body(place).items()))
        found = sector_findings(sector)
        for one in found:
            kinds = one.kinds or "all files that it needs"
            self.stdout.write(f"a scan of {one.store.name} found {kinds}: {one.get_kind_display()}")
        if not places and not found:
            self.stdout.write("in no store, as far as scans and checks know: stores scan NAME")

    def _order(self, options: dict[str, Any]) -> None:
        """Order hosts to do it; what came of it comes with their next heartbeats."""
        now, act = clock.now(), options["act"]
        if act == "attach":
            worker = host_by_name(options["host"])
            order = store_attach(worker, path=options["name"], is_new=options["new"], by=COMMAND)
            self.stdout.write(f"ordered: {worker.name} attaches {options['name']}, order {order.uuid}")
            return
        store = self._store(options["name"], options["tenant"])
        if act == "detach":
            row = attachment_get(store, str(host_by_name(options["host"]).uuid))
            order = store_detach(row, now=now, by=COMMAND)
            self.stdout.write(f"ordered: {row.worker.name} detaches {store.name}, order {order.uuid}")
        elif act == "change":
            values = values_of(options["values"])
            if values.get("labels") is not None:
                values["labels"] = [one for one in values["labels"].split(",") if one]
            store_change(store, changes=StoreChanges(**checked(StoreInput, values)), now=now, by=COMMAND)
            self.stdout.write(f"ordered: {store.name} {' '.join(options['values'])}")
        elif act == "check":
            check = check_begin(store, bytes_s=options["bytes_s"], now=now, by=COMMAND)
            self.stdout.write(f"checks: {check.total} sectors in {store.name}, check {check.uuid}")
        elif act == "scan":
            self._scan(store, is_cancelled=options["cancel"])
        elif act == "adopt":
            for one in findings_adopt(store, uuids=None, now=now, by=COMMAND):
                self.stdout.write(
                    f"{one.finding.name}: {one.refusal or 'its comm_r is compared before adoption'}"
                )
        else:
            target = self._store(options["to"], options["tenant"])
            made = moves_begin(store, target=target, numbers=options["count"], now=now, by=COMMAND)
            for move in made:
                self.stdout.write(f"moves: {move.sector.miner} / {move.sector.number} to {target.name}")

    def _leftovers(self, options: dict[str, Any]) -> None:
        """List or remove what is left; with --host in that host's sealing folders."""
        write, names = self.stdout.write, options["values"]
        if options["host"]:
            worker = host_by_name(options["host"])
            if options["act"] == "leftovers":
                for line in host_lines(worker):
                    write(line)
                return
            names = [name for name in (options["name"], *names) if name]
            host_leftovers_remove(worker, names, write=write, options=options)
        elif options["act"] == "leftovers":
            raise CommandError("name the host with --host; for a store, use found NAME")
        else:
            store = self._store(options["name"], options["tenant"])
            store_leftovers_remove(store, names, write=write, options=options)

    def _redeclare(self, options: dict[str, Any]) -> None:
        """Order it for one store, or for each; a store that nobody reads stops no other."""
        now, name, is_one = clock.now(), options["name"], bool(options["name"])
        drops, confirm = options["drop_missing"], options["confirm"]
        if drops and not is_one and not options["dry_run"] and confirm != EVERY_STORE:
            raise CommandError(f"--drop-missing for every store requires --confirm {EVERY_STORE}")
        found = [self._store(name, options["tenant"])] if is_one else stores_visible(COMMAND, now=now)
        for store in found:
            if options["tenant"] not in ("", store.tenant.name):
                continue
            try:
                plan = redeclaration_plan(store, now=now)
                text = f"{store.name}: {plan.host}, {plan.sectors} proving sectors"
                if plan.missing is not None:
                    text += f", in the last scan {plan.missing} missing, {plan.elsewhere} recorded elsewhere"
                if not options["dry_run"]:
                    typed = confirm if is_one else store.name
                    scan = redeclaration_begin(store, drops_missing=drops, confirm=typed, now=now, by=COMMAND)
                    text += f", scan {scan.uuid}"
            except DomainError as refusal:
                if is_one:
                    raise
                text = f"{store.name}: refused: {refusal.reason}"
            self.stdout.write(text)

    def _scan(self, store: Store, *, is_cancelled: bool) -> None:
        """Begin a scan, or cancel the one that runs."""
        if not is_cancelled:
            scan = scan_begin(store, now=clock.now(), by=COMMAND)
            self.stdout.write(f"ordered: {scan.worker.name} scans {store.name}, scan {scan.uuid}")
            return
        running = scans_of(store).filter(state=ScanState.RUNNING).first()
        if running is None:
            raise CommandError(f"no scan of {store.name} is running")
        scan_cancel(running, now=clock.now(), by=COMMAND)
        self.stdout.write(f"cancelled: scan {running.uuid} of {store.name}")

    def _checks(self, store: Store) -> None:
        """Write how far its checks are, and each sector with bad files."""
        checks = list(checks_of(store)[:CHECKS_SHOWN])
        waits = checks_wait(checks, now=clock.now())
        for check in checks:
            text = f"{check.done} of {check.total}, {check.bad} bad, {check.unread} not readable"
            wait = waits[check.pk] or check.error
            self.stdout.write(f"check: {check.uuid} {check.state} {text}{wait and f': {wait}'}")
        before = None
        while rows := copies_page(store, condition=CopyCondition.BAD, before=before, limit=1_000):
            for row in rows:
                self.stdout.write(
                    f"bad: {row.sector.miner.address} {row.sector.number}: {bad_files_text(row)}"
                )
            before = rows[-1].pk

    def _found(self, store: Store) -> None:
        """Write what the last scan found."""
        for scan in scans_of(store)[:1]:
            text = ", ".join(f"{count} {kind}" for kind, count in scan.counts.items())
            self.stdout.write(
                f"scan: {scan.uuid} {scan.state} {scan.known} match the database; {text}{scan.error}"
            )
        after = 0
        while rows := findings_page(store, after=after, limit=1_000):
            for row in rows:
                self.stdout.write(f"{row.kind}: {row.name} {row.size} {row.state} {row.error}".rstrip())
            after = rows[-1].pk

    def _store(self, name: str, tenant: str) -> Store:
        rows = [
            store
            for store in stores_visible(COMMAND, now=clock.now())
            if name in (store.name, str(store.uuid)) and tenant in ("", store.tenant.name)
        ]
        if len(rows) != 1:
            raise CommandError(f"{len(rows)} stores are called {name}: specify --tenant or the uuid")
        return rows[0]
