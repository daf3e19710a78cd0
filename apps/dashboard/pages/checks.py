"""Checks: every check with its result."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from django.http import HttpRequest, HttpResponse
from django.urls import path, reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from apps.checks.findings.results import Check, Severity, Topic
from apps.checks.report.report import Result
from apps.checks.selectors.check_settings import mutes_active
from apps.checks.services.check_settings import can_set_checks
from apps.checks.table.checks import CHECKS_BY_NAME
from apps.core.formatting import plural
from apps.core.languages import sentence_text
from apps.core.reasons import shown_text
from apps.dashboard.cards import Verdict
from apps.dashboard.fragments import FragmentContext, LivePage, fragment
from apps.dashboard.labels import StateLabel
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData, data_in_scope
from apps.dashboard.scope import scope_chosen
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.todo import Todo, checked_text, todo_of
from apps.miners.selectors.scope import SCOPE
from apps.users.rules.principals import Principal

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from apps.checks.models import CheckSetting


@dataclass(frozen=True, slots=True)
class CheckRow:
    """One check in the table."""

    name: str
    title: StrOrPromise
    word: StateLabel
    severity: str
    own_severity: str
    """As it is delivered, where the operator set another; else empty."""
    mute: CheckSetting | None
    """While the operator's channels are not told of it; for the operator."""
    settings_href: str
    """Where the operator sets both; empty for others."""
    href: str
    label: StrOrPromise
    todos: tuple[Todo, ...]
    reach: str = ""
    """A sentence that names the whole pool or tenant, where the check looks at more than the scope."""


NOT_OF_MINER: Final = frozenset(
    (
        *("nonce_gaps", "senders_foreign", "senders_left", "senders_paused"),
        *("balances_short", "signers_away", "policies_advised", "rules_hindered"),
    )
)
"""Checks of signers, senders and rules, which belong to a tenant: they find nothing for a miner alone."""
OF_TENANT: Final = {Topic.HOSTS, Topic.STORES}
"""These are evaluated for the tenant of a miner."""


def reach_of(check: Check, data: PageData) -> str:
    """Return what a check is about, if the scope does not narrow it to itself."""
    if data.asker is None:
        return ""
    if check.is_pool_wide:
        return gettext("of the whole pool")
    if data.is_of_miner and OF_TENANT.intersection(check.topics):
        return gettext("of tenant {tenant}").format(tenant=data.viewer.tenant_name)
    return ""


def is_left_out(check: Check, data: PageData) -> bool:
    """Return whether nothing of a check is evaluated in the scope."""
    return data.is_of_miner and check.name in NOT_OF_MINER


def scope_note(data: PageData) -> str:
    """Return what is not checked in the scope."""
    parts = []
    if data.person.sees_pool:
        parts.append(gettext("Checks of the console itself are shown without it."))
    if data.is_of_miner:
        parts.append(
            gettext("Signers, wallets and senders belong to a tenant: choose it to see their checks.")
        )
    return " ".join(parts)


def check_row(
    result: Result, data: PageData, mute: CheckSetting | None, because: Mapping[str, str]
) -> CheckRow:
    """Lay out one check; `because` says by keys of findings what explains them."""
    check = result.check
    own = str(CHECKS_BY_NAME[check.name].severity)
    failed = StateLabel("bad" if check.severity is Severity.CRITICAL else "warn", _("failed"))
    found = tuple(
        replace(todo_of(one, data), because=because.get(one.finding.key, ""))
        for one in data.report.found
        if one.check is check
    )
    return CheckRow(
        name=check.name,
        title=check.title,
        word=StateLabel("ok", _("passed")) if result.passed else failed,
        severity=str(check.severity),
        own_severity=own if own != str(check.severity) else "",
        mute=mute,
        settings_href=reverse("check-settings", args=[check.name]) if can_set_checks(data.person) else "",
        href=check.link.address,
        label=check.button,
        todos=found,
        reach=reach_of(check, data),
    )


def checks_verdict(data: PageData) -> Verdict:
    """Return how many checks passed."""
    report = data.report
    failed = len(report.results) - report.passed
    if not failed:
        return Verdict(_("All checks passed."), "", checked_text(report))
    say = gettext("{checks} failed:").format(checks=plural(failed, "check"))
    return Verdict(
        say,
        sentence_text(plural(len(report.incidents), "issue")),
        checked_text(report),
    )


def checks_context(data: PageData) -> dict[str, Any]:
    """Everything on the page; failed checks first."""
    mutes = mutes_active(data.at) if data.person.sees_pool else {}
    incidents = data.report.incidents
    because = {
        one.finding.key: shown_text(incident.cause.finding.say)
        for incident in incidents
        for one in incident.effects
    }
    places: dict[str, int] = {}
    for one in (one for incident in incidents for one in incident.found):
        places.setdefault(one.check.name, len(places))
    shown = [row for row in data.report.results if row.findings or not is_left_out(row.check, data)]
    rows = [check_row(result, data, mutes.get(result.check.name), because) for result in shown]
    return {
        "verdict": checks_verdict(data),
        "rows": sorted(rows, key=lambda row: (places.get(row.name, len(places)), row.severity)),
    }


def checks_fragment(context: FragmentContext) -> Iterable[str]:
    """Yield the whole page anew."""
    shown = checks_context(context.data)
    yield fragment("dashboard/_verdict.html", verdict=shown["verdict"])
    yield fragment("dashboard/_checks.html", rows=shown["rows"])


@require_safe
@sign_in_required
def checks(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Every check with its result."""
    data = data_in_scope(viewer, scope_chosen(request))
    return page_render(
        request,
        "dashboard/checks.html",
        title=_("Checks"),
        section="today",
        page_key="checks",
        data=data,
        scoped=SCOPE,
        scope_note=scope_note(data),
        **checks_context(data),
    )


KINDS: Final = (
    "head",
    "miner",
    "deadline",
    "sector",
    "worker",
    "message",
    "messages",
    "sender",
    "wallet",
    "signer",
    "node",
    "node_state",
    "process",
    "check",
)
"""Changes that checks depend on."""
urlpatterns: Final = [
    path("status/checks/", checks, name="checks"),
]
LIVE: Final = {
    "checks": LivePage(dict.fromkeys(KINDS, (checks_fragment,)), findings=checks_fragment, is_scoped=True)
}
