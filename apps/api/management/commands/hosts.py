"""`manage.py hosts`: list, show, log; pause, resume, drain, upgrade, measure, retire; their settings."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import TYPE_CHECKING, Any, Final

from django.core.management.base import CommandError

from apps.api.management.caller import COMMAND
from apps.api.management.hosts import host_by_name
from apps.api.management.words import checked, confirm, facts, refusals_as_command_errors, values_of
from apps.api.v1.host_output import detail_body
from apps.api.v1.host_settings import GroupInput, ValuesInput
from apps.core import clock
from apps.core.formatting import plural
from apps.core.management.any_order import AnyOrderCommand
from apps.sectors.selectors.hosts import host_report, worker_is_away, workers_visible
from apps.sectors.services.hosts.commands import worker_command_enqueue
from apps.sectors.services.hosts.retirement import worker_retire_drained, worker_retire_now
from apps.sectors.services.hosts.settings import (
    shared_settings_set,
    values_read,
    worker_group_set,
    worker_settings_resolve,
    worker_settings_set,
)
from apps.users.selectors.tenants import tenant_by_name
from poolsite.wire.commands import Operation

if TYPE_CHECKING:
    from apps.sectors.models import Worker

ORDERS: Final = {
    str(op): op
    for op in (Operation.PAUSE, Operation.RESUME, Operation.DRAIN, Operation.UPGRADE, Operation.MEASURE)
}
"""What a host hears of with its next heartbeat."""


class Command(AnyOrderCommand):
    """List hosts, show one, order one to do something, or set what it obeys."""

    help = (
        "list; show HOST; log HOST; pause, resume, drain, upgrade or measure HOST; "
        "retire HOST drains it first, with --now its leases end at once; "
        "set HOST slots.PC1=2 sealing.max_retries=null; group HOST [NAME]; "
        "set-shared slots.PC1=2 [--tenant NAME [--group NAME]] for all hosts, a tenant's, or a group's"
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Define the arguments."""
        acts = ["list", "show", "log", *ORDERS, "retire", "set", "group", "set-shared"]
        parser.add_argument("act", choices=acts)
        parser.add_argument("words", nargs="*", help="name or ID of the host; for set, set-shared: key=value")
        parser.add_argument("--now", action="store_true", help="for retire: skip draining")
        parser.add_argument(
            "--force", action="store_true", help="for retire --now: also with sectors in progress"
        )
        parser.add_argument("--tenant", default="", help="for set-shared: tenant of the hosts")
        parser.add_argument("--group", default="", help="for set-shared: group of the tenant's hosts")
        parser.add_argument("--yes", action="store_true", help="for retire: skip the confirmation")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Do it and write a line for each fact."""
        act, arguments = options["act"], options["words"]
        with refusals_as_command_errors():
            if act == "list":
                self._list()
            elif act == "set-shared":
                self._set_shared(arguments, options)
            elif not arguments:
                raise CommandError("name a host: `manage.py hosts list` lists them")
            elif act == "retire":
                self._retire(host_by_name(arguments[0]), options)
            elif act in ORDERS:
                self._order(host_by_name(arguments[0]), ORDERS[act])
            else:
                acts = {"show": self._show, "log": self._log, "set": self._set, "group": self._group}
                acts[act](host_by_name(arguments[0]), arguments[1:])

    def _list(self) -> None:
        now = clock.now()
        for worker in workers_visible(COMMAND):
            states = {
                "away": worker_is_away(worker, now=now),
                "paused": worker.is_paused,
                "draining": worker.is_draining,
                "retiring": worker.retire_asked_at is not None,
            }
            state = " ".join(name for name, holds in states.items() if holds) or "here"
            jobs = plural(len(getattr(worker, "held_jobs", ())), "job")
            self.stdout.write(
                f"{worker.uuid} {worker.tenant.name} {worker.name} on {worker.host}: {state}, {jobs}"
            )

    def _show(self, worker: Worker, _arguments: list[str]) -> None:
        for line in facts(detail_body(worker)):
            self.stdout.write(line)

    def _log(self, worker: Worker, _arguments: list[str]) -> None:
        report = host_report(worker)
        for line in [] if report is None else report.log:
            self.stdout.write(line)

    def _order(self, worker: Worker, op: Operation) -> None:
        order = worker_command_enqueue(worker, op=op, args={}, actor=COMMAND.actor, by=COMMAND)
        self.stdout.write(f"ordered: {worker.name} {op}, order {order.uuid}")

    def _retire(self, worker: Worker, options: dict[str, Any]) -> None:
        confirm(f"retire {worker.name}", is_needed=not options["yes"])
        if options["now"]:
            worker_retire_now(worker, now=clock.now(), by=COMMAND, is_forced=options["force"])
            self.stdout.write(f"retired: {worker.name}")
            return
        worker_retire_drained(worker, actor=COMMAND.actor, now=clock.now(), by=COMMAND)
        self.stdout.write(f"ordered: {worker.name} drains and is then retired")

    def _set(self, worker: Worker, arguments: list[str]) -> None:
        values = values_read(
            checked(ValuesInput, {"values": values_of(arguments)})["values"], is_shared=False
        )
        worker_settings_set(worker, values=values, actor=COMMAND.actor, by=COMMAND)
        self._show_target(worker)

    def _group(self, worker: Worker, arguments: list[str]) -> None:
        group = checked(GroupInput, {"group": arguments[0] if arguments else ""})["group"]
        worker_group_set(worker, group=group, actor=COMMAND.actor, by=COMMAND)
        self._show_target(worker)

    def _show_target(self, worker: Worker) -> None:
        """Write what it is told now, by level."""
        for key, value in worker_settings_resolve(host_by_name(str(worker.uuid))).items():
            self.stdout.write(f"{key}: {value}")

    def _set_shared(self, arguments: list[str], options: dict[str, Any]) -> None:
        if options["group"] and not options["tenant"]:
            raise CommandError("a group belongs to a tenant: specify --tenant")
        tenant = tenant_by_name(options["tenant"]) if options["tenant"] else None
        values = values_read(checked(ValuesInput, {"values": values_of(arguments)})["values"])
        row = shared_settings_set(
            values, tenant=tenant, group=options["group"], actor=COMMAND.actor, by=COMMAND
        )
        for key, value in sorted(row.values.items()):
            self.stdout.write(f"{key}: {value}")
