"""Settings of hosts on the console: for the pool, a tenant, a group, one host; the host merges them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.db import transaction
from msgspec import to_builtins

from apps.core import clock
from apps.core.live import Change, publish
from apps.core.marked_texts import gettext
from apps.core.units import values_with_units
from apps.sectors.errors.hosts import BadSettings
from apps.sectors.models import HostReport, SharedSettings, Worker, WorkerCommand
from apps.sectors.selectors.hosts import shared_settings_of
from apps.sectors.services.audit import settings_audit, worker_audit
from apps.sectors.services.roles.labels import worker_labels_sync
from apps.users.models import Tenant
from apps.users.rules.principals import Principal
from apps.users.services.audit import audit_entries_record
from poolsite.wire.commands import Operation
from poolsite.wire.host_settings import SETTING_MAX, Setting
from poolsite.wire.hosts import SLOTS_MAX
from poolsite.wire.pipeline import WORKER_STAGES
from poolsite.wire.sealing_rules import RULES, SEALING, THREADS, rule_key, rule_read

SLOTS: Final = "slots."
PLAIN: Final = ("sectors_max", "sector_room_bytes")
SETTABLE: Final = (*(SLOTS + stage for stage in WORKER_STAGES), *PLAIN, *(SEALING + name for name in RULES))
"""Settings that the console may set; a host leaves out those that it has not.  Of one host those of its
sealing threads, too (`thread_key`)."""

Values = dict[str, int | str | None]


def values_read(fields: Mapping[str, Any], *, is_shared: bool = True) -> Values:
    """Read settings by key; empty or None takes one away.  Raises BadSettings."""
    values: Values = {}
    for name, value in fields.items():
        if (rule := rule_key(name)) is not None and not (rule[0] and is_shared):
            values[name] = _rule_value(name, rule[1], value)
            continue
        prefix, _, stage = name.partition(".")
        key = f"{SLOTS}{stage.upper()}" if f"{prefix}." == SLOTS else name
        if key not in SETTABLE:
            raise BadSettings(
                gettext("unknown setting {name}; known are {known}").format(
                    name=name, known=", ".join(SETTABLE)
                )
            )
        most = SLOTS_MAX if key.startswith(SLOTS) else SETTING_MAX
        text = "" if value is None else str(value).strip()
        if text and not (text.isascii() and text.isdigit() and int(text) <= most):
            raise BadSettings(
                gettext("{key} must be a whole number from 0 to {most}, not {text}").format(
                    key=key, most=most, text=text
                )
            )
        values[key] = int(text) if text else None
    if not values:
        raise BadSettings(gettext("give at least one setting"))
    return values


def _rule_value(key: str, name: str, value: Any) -> str | None:
    """Read a rule of sealing.  Raises BadSettings."""
    text = "" if value is None else str(value).strip()
    try:
        return rule_read(name, text) if text else None
    except ValueError as error:
        raise BadSettings(
            gettext("{key} is {text}: {remedy}").format(key=key, text=text[:100], remedy=error)
        ) from None


def _merged(stored: dict[str, int | str], *, values: Values) -> dict[str, int | str]:
    """Return settings with others laid over them."""
    merged = {**stored, **values}
    return {key: value for key, value in merged.items() if value is not None}


@transaction.atomic
def worker_settings_set(
    worker: Worker, *, values: Values, actor: str, by: Principal | None = None
) -> WorkerCommand:
    """Set or take away settings of one host.  Raises BadSettings."""
    threads_check(worker, values=values)
    row = Worker.objects.select_for_update(of=("self",), no_key=True).get(pk=worker.pk)
    before, row.settings = row.settings, _merged(row.settings, values=values)
    row.save(update_fields=["settings", "updated_at"])
    was, now = values_with_units(before), values_with_units(row.settings)
    worker_audit(by, action="worker.settings", worker=row, before=was, after=now)
    return settings_send(row, actor=actor)


def threads_check(worker: Worker, *, values: Values) -> None:
    """Raise BadSettings for a thread that the host told it has not: it would never obey."""
    named = {
        key.split(".")[1] for key, value in values.items() if key.startswith(THREADS) and value is not None
    }
    report = HostReport.objects.filter(worker=worker).first() if named else None
    if report is None or not report.settings:
        return
    reported = {one["key"].split(".")[1] for one in report.settings if one["key"].startswith(THREADS)}
    if unknown := sorted(named - reported):
        raise BadSettings(
            gettext(
                "{host} has no sealing thread {number}: its configuration file has {count} [[sealing_thread]]"
            ).format(host=worker.name, number=unknown[0], count=len(reported))
        )


@transaction.atomic
def worker_group_set(worker: Worker, *, group: str, actor: str, by: Principal | None = None) -> None:
    """Move a host into a group, or with an empty name into none; with it go the roles of groups."""
    roles = worker_labels_sync(worker, group=group.strip()[:100], by=by, now=clock.now())
    row = Worker.objects.select_for_update(of=("self",), no_key=True).get(pk=worker.pk)
    before, row.group = row.group, group.strip()[:100]
    row.save(update_fields=["group", "updated_at"])
    worker_audit(by, action="worker.group", worker=row, before={"group": before}, after={"group": row.group})
    audit_entries_record(roles)
    settings_send(row, actor=actor)


@transaction.atomic
def shared_settings_set(
    values: Values, *, tenant: Tenant | None, group: str = "", actor: str, by: Principal | None = None
) -> SharedSettings:
    """Set or take away settings of the pool, a tenant or a group, and tell every host that has them."""
    row, _ = SharedSettings.objects.select_for_update(of=("self",)).get_or_create(tenant=tenant, group=group)
    before, row.values = row.values, _merged(row.values, values=values)
    row.save(update_fields=["values"])
    hosts = Worker.objects.select_for_update(of=("self",), no_key=True).filter(retired_at=None)
    if tenant is not None:
        hosts = hosts.filter(tenant=tenant)
    for host in hosts.order_by("pk"):
        if group in ("", host.group):  # as it is once locked: it may be coming into the group
            settings_send(host, actor=actor)
    settings_audit(by, row=row, before=before)
    return row


def worker_settings_resolve(worker: Worker) -> dict[str, str]:
    """Return what a host is to obey, by level and key, as SET_PLAN brings it."""
    levels = {level: row.values for level, row in shared_settings_of(worker).items()}
    levels["host"] = {key: value for key, value in worker.settings.items() if not key.startswith(THREADS)}
    levels["thread"] = {key: value for key, value in worker.settings.items() if key.startswith(THREADS)}
    return {
        f"{level}.{key}": str(value)
        for level, values in levels.items()
        for key, value in sorted(values.items())
    }


def settings_send(worker: Worker, *, actor: str) -> WorkerCommand:
    """Send a host its settings; what it was sent before and has not done is no longer asked.

    Its row is locked: of two levels that are set at once, the second sends both.
    """
    worker = Worker.objects.select_for_update(of=("self",), no_key=True).get(pk=worker.pk)
    worker.commands.filter(op=Operation.SET_PLAN, done_at=None).delete()
    publish(Change("worker", worker.pk, worker.tenant_id))
    return WorkerCommand.objects.create(
        worker=worker, op=Operation.SET_PLAN, args=worker_settings_resolve(worker), actor=actor
    )


def settings_resend(worker: Worker, *, configured: dict[str, str]) -> None:
    """Send a host that registers its settings, where it has others."""
    resolved = worker_settings_resolve(worker)
    requested = worker.commands.filter(op=Operation.SET_PLAN, done_at=None).order_by("pk").last()
    if configured != resolved and (requested is None or requested.args != resolved):
        settings_send(worker, actor="console")


def settings_note(worker: Worker, *, settings: tuple[Setting, ...]) -> None:
    """Store the settings that a host reports, as it obeys them; none are no news."""
    if not settings:
        return
    reported = [to_builtins(one) for one in settings]
    HostReport.objects.update_or_create(worker=worker, defaults={"settings": reported})
    slots = {one.key.removeprefix(SLOTS): one.value for one in settings if one.key.startswith(SLOTS)}
    numbers = {stage: int(count) for stage, count in slots.items() if count.isascii() and count.isdigit()}
    worker.slots = {**worker.slots, **numbers}
