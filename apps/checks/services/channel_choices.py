"""Choices for a channel: whose alerts it is told of, after how long, and its quiet hours."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import time
from typing import Any, Final

from django.db.models import Q

from apps.checks.models import AlertChannel
from apps.checks.states import ChannelKind
from apps.checks.table.checks import CHECKS_BY_NAME
from apps.core.addresses import address_fault
from apps.core.errors import BadValue
from apps.core.local_time import UTC_NAME, zone_find, zone_names
from apps.core.marked_texts import gettext
from apps.core.units import value_with_unit
from apps.miners.models import Miner
from apps.users.models import Tenant
from poolsite.filecoin.address import ID, BadAddress, address_parse, id_address

LISTS: Final = ("only_tenants", "only_miners", "only_checks")
SCOPE: Final = (
    *LISTS,
    *("wait_min", "quiet_from", "quiet_to", "quiet_zone", "quiet_critical"),
)
"""Fields of a channel that this module reads."""
WAITS_MIN: Final = (0, 5, 10, 15, 30, 60, 120, 240)
"""Choices of minutes in which nobody acknowledged an alert; 0: at once."""
LIST_MAX: Final = 100


def scope_read(
    chosen: Mapping[str, Any], *, kind: str, tenant: Tenant | None, before: AlertChannel | None = None
) -> dict[str, Any]:
    """Return the fields of a channel, from names and addresses as people write them.  Raises BadValue.

    Tenants and miners that the channel had `before` may be gone: without them it would be told of all.
    """
    for name in LISTS:
        if len(chosen[name]) > LIST_MAX:
            raise BadValue(gettext("at most {most} of them").format(most=LIST_MAX), field=name)
    if chosen["wait_min"] not in WAITS_MIN:
        raise BadValue(gettext("choose one of the intervals"), field="wait_min")
    return {
        "only_tenants": _tenants_read(
            chosen["only_tenants"], tenant=tenant, before=() if before is None else before.only_tenants
        ),
        "only_miners": _miners_read(
            chosen["only_miners"], tenant=tenant, before=() if before is None else before.only_miners
        ),
        "only_checks": _checks_read(chosen["only_checks"], tenant=tenant),
        "wait_min": chosen["wait_min"],
        **_quiet_read(chosen, kind=kind),
    }


def scope_write(row: AlertChannel) -> dict[str, Any]:
    """Return what is chosen of a channel, as people write it, tenants that are gone with the others."""
    names = Tenant.objects.filter(pk__in=row.only_tenants).order_by("name")
    return {
        "only_tenants": list(names.values_list("name", flat=True)) if row.only_tenants else [],
        "only_miners": [str(id_address(actor_id)) for actor_id in row.only_miners],
        "only_checks": list(row.only_checks),
        "wait_min": row.wait_min,
        "quiet_from": row.quiet_from,
        "quiet_to": row.quiet_to,
        "quiet_zone": row.quiet_zone,
        "quiet_critical": row.quiet_critical,
    }


def scope_describe(chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the audit log holds of it: lists as texts, times with their zone."""
    quiet = quiet_describe(chosen)
    return {
        **{name: ", ".join(chosen[name]) or "all" for name in LISTS},
        "wait_min": value_with_unit("wait_min", chosen["wait_min"]),
        "quiet_hours": quiet or "none",
        "quiet_critical": chosen["quiet_critical"],
    }


def quiet_describe(chosen: Mapping[str, Any]) -> str:
    """`22:00-07:00 Asia/Shanghai`; empty for none."""
    if not chosen["quiet_from"]:
        return ""
    return f"{chosen['quiet_from']}-{chosen['quiet_to']} {chosen['quiet_zone'] or UTC_NAME}"


def _tenants_read(names: Sequence[str], *, tenant: Tenant | None, before: Collection[int]) -> list[int]:
    if names and tenant is not None:
        raise BadValue(gettext("a tenant's channel is told of its own alone"), field="only_tenants")
    found = Tenant.objects.filter(Q(deleted_at=None) | Q(pk__in=before), name__in=names)
    rows = dict(found.values_list("name", "pk"))
    for name in names:
        if name not in rows:
            raise BadValue(gettext("there is no tenant {name}").format(name=name), field="only_tenants")
    return sorted(set(rows.values()))


def _miners_read(addresses: Sequence[str], *, tenant: Tenant | None, before: Collection[int]) -> list[int]:
    found = {_actor_id(text) for text in addresses}
    rows = Miner.objects.filter(actor_id__in=found)
    known = set((rows if tenant is None else rows.filter(tenant=tenant)).values_list("actor_id", flat=True))
    for actor_id in sorted(found - known - set(before)):
        text = gettext("there is no miner {address}").format(address=id_address(actor_id))
        raise BadValue(text, field="only_miners")
    return sorted(found)


def _actor_id(text: str) -> int:
    try:
        address = address_parse(text)
    except BadAddress as error:
        raise BadValue(address_fault(error), field="only_miners") from None
    if address.protocol != ID:
        raise BadValue(gettext("use ID addresses for miners, such as f01000"), field="only_miners")
    return address.actor_id


def _checks_read(names: Sequence[str], *, tenant: Tenant | None) -> list[str]:
    for name in names:
        check = CHECKS_BY_NAME.get(name)
        if check is None or (tenant is not None and (check.operator_only or check.is_pool_wide)):
            raise BadValue(gettext("there is no check {name}").format(name=name), field="only_checks")
    return sorted(set(names))


def _quiet_read(chosen: Mapping[str, Any], *, kind: str) -> dict[str, Any]:
    times = {name: _time_read(chosen[name], field=name) for name in ("quiet_from", "quiet_to")}
    if bool(times["quiet_from"]) != bool(times["quiet_to"]):
        missing = "quiet_to" if times["quiet_from"] else "quiet_from"
        raise BadValue(gettext("enter both times, or none"), field=missing)
    if times["quiet_from"] and times["quiet_from"] == times["quiet_to"]:
        raise BadValue(gettext("must be another time than the first"), field="quiet_to")
    if times["quiet_from"] and kind == ChannelKind.PAGERDUTY:
        raise BadValue(
            gettext("PagerDuty has schedules of its own: set quiet hours there"), field="quiet_from"
        )
    zone = zone_find(chosen["quiet_zone"])
    if zone and zone not in zone_names():
        raise BadValue(gettext("enter a zone by its name or city, such as Asia/Shanghai"), field="quiet_zone")
    return {**times, "quiet_zone": zone, "quiet_critical": chosen["quiet_critical"]}


def _time_read(text: str, *, field: str) -> str:
    """Return a time of day as `07:00`; empty for none.  Raises BadValue."""
    if not text.strip():
        return ""
    try:
        return f"{time.fromisoformat(text.strip()):%H:%M}"
    except ValueError:
        raise BadValue(gettext("enter a time such as 22:00"), field=field) from None
