"""What the pool did for a tenant, month by month: proofs, wins, messages, and how long it was up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.utils.translation import gettext
from django.views.decorators.http import require_safe

from apps.checks.selectors.service_levels import (
    COUNTED,
    MONTHS_SHOWN,
    ServiceMonth,
    service_days_visible,
    service_months,
)
from apps.checks.selectors.service_targets import targets_in, targets_of, targets_results
from apps.checks.states import TargetResult
from apps.core.formatting import NOTHING, time_left
from apps.dashboard.csv_export import Download, csv_answer
from apps.dashboard.labels import StateLabel
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.sessions import sign_in_required
from apps.users.rules.principals import Principal
from apps.users.services.tenant_management import can_manage_tenants, visible_tenant_find

if TYPE_CHECKING:
    from apps.checks.models import ServiceTargets
    from apps.users.models import Tenant

RESULT_LABELS: Final = {
    TargetResult.MET: StateLabel("ok", TargetResult.MET.label),
    TargetResult.MISSED: StateLabel("bad", TargetResult.MISSED.label),
    TargetResult.UNKNOWN: StateLabel("idle", TargetResult.UNKNOWN.label, "info"),
}
COLUMNS: Final = ("tenant", "month", "counted_until", *COUNTED, "landing_p95_s", "console_percent_up")
"""Of the months as CSV."""


def months_of(viewer: Principal, tenant: Tenant) -> list[ServiceMonth]:
    """Return the months of a tenant, newest first."""
    return service_months(service_days_visible(viewer).filter(tenant=tenant))


@require_safe
@sign_in_required
def service(request: HttpRequest, viewer: Principal, key: UUID) -> HttpResponse:
    """Show the last months."""
    tenant = visible_tenant_find(viewer, key=str(key))
    months, promised = months_of(viewer, tenant)[:MONTHS_SHOWN], targets_of(tenant)
    return page_render(
        request,
        "tenants/service.html",
        title=gettext("Service levels of {tenant}").format(tenant=tenant.name),
        section="tenants",
        data=PageData(viewer),
        tenant=tenant,
        may_manage=can_manage_tenants(viewer),
        months=[
            (
                one,
                target_labels(targets_in(promised, one.month), one),
                causes_text(one.posts_missed_pool, one.posts_missed_tenant, one.posts_missed_unknown),
                causes_text(one.wins_lost_pool, one.wins_lost_tenant, one.wins_lost_unknown),
                landing_text(one),
                percent_text(one),
            )
            for one in months
        ],
    )


@require_safe
@sign_in_required
def service_csv(_request: HttpRequest, viewer: Principal, key: UUID) -> Download:
    """Download all months that are counted."""
    tenant = visible_tenant_find(viewer, key=str(key))
    return csv_answer(f"service-{tenant.name}.csv", COLUMNS, csv_rows(months_of(viewer, tenant)))


def csv_rows(months: list[ServiceMonth]) -> Iterator[tuple[object, ...]]:
    """Yield a line for each month."""
    for one in months:
        counts = (getattr(one, name) for name in COUNTED)
        landing, percent = one.landing_s, one.console_percent
        yield (
            one.tenant,
            f"{one.month:%Y-%m}",
            one.until.isoformat(),
            *counts,
            "" if landing is None else landing,
            "" if percent is None else percent,
        )


def target_labels(targets: ServiceTargets | None, month: ServiceMonth) -> list[tuple[str, StateLabel]]:
    """Return each target that was set with whether it was met."""
    return [
        (target_text(name, targets), RESULT_LABELS[result])
        for name, result in targets_results(targets, month).items()
        if targets is not None
    ]


def target_text(name: str, targets: ServiceTargets) -> str:
    """Return a target in words."""
    if name == "landing_s":
        return gettext("messages within {time}").format(time=time_left(targets.landing_s))
    texts = {
        "posts_percent": gettext("proofs {percent} %"),
        "wins_percent": gettext("blocks {percent} %"),
        "console_percent": gettext("API {percent} %"),
    }
    return texts[name].format(percent=f"{getattr(targets, name).normalize():f}")


def causes_text(pool: int, tenant: int, unknown: int) -> list[str]:
    """Return whose cause losses are, a line for each; none without losses."""
    if not pool + tenant + unknown:
        return []
    texts = ((pool, gettext("pool {count}")), (tenant, gettext("tenant {count}")))
    return [text.format(count=count) for count, text in (*texts, (unknown, gettext("unknown {count}")))]


def landing_text(month: ServiceMonth) -> str:
    """Return within what time 95 % of the landed messages had landed."""
    if not month.messages_landed:
        return NOTHING
    if month.landing_s is None:
        return gettext("more than 24 h")
    return gettext("within {time}").format(time=time_left(month.landing_s))


def percent_text(month: ServiceMonth) -> str:
    """Return how much the console was up."""
    if month.console_percent is None:
        return NOTHING
    return "100 %" if month.console_percent == 100 else f"{month.console_percent:.2f} %"


urlpatterns: Final = [
    path("tenants/<uuid:key>/service/", service, name="tenant-service"),
    path("tenants/<uuid:key>/service.csv", service_csv, name="tenant-service-csv"),
]
