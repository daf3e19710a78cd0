"""Gas: the page, its CSV, and the forms for guards and for proofs in a auto_bump."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_POST, require_safe

from apps.core.errors import BadValue, DomainError, NotFound
from apps.dashboard.amounts import amount_read, whole_read
from apps.dashboard.csv_export import CHUNK, CSV_MAX, csv_answer
from apps.dashboard.fee_forms import FIELDS, form_of, rules_read
from apps.dashboard.fragments.gas import auto_bump_rows, guard_rows, live_context
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.pagination import Facet
from apps.dashboard.rows.gas import GROUPS, form_values, spend_rows
from apps.dashboard.rows.method_rules import method_rule_rows
from apps.dashboard.sessions import sign_in_required
from apps.messages.selectors.gas import guard_get, spend_since, spend_summed
from apps.messages.services.fees import shared_rules
from apps.messages.services.guards import KINDS, auto_bump_set, guard_remove, guard_set
from apps.messages.services.senders import shared_rules_set
from apps.users.models import Tenant
from poolsite.filecoin.actors.decode import ACTOR_METHODS

if TYPE_CHECKING:
    from uuid import UUID

    from apps.dashboard.csv_export import Download
    from apps.users.principals import Principal

DAYS: Final = (1, 7, 30, 365)
COLUMNS: Final = ("day", "tenant", "from", "to", "method", "kind", "messages", "gas_used", "cost_atto")
"""Of the spending as CSV."""
GUARD_FIELDS: Final = (
    "tenant",
    "kind",
    "actor",
    "method",
    "max_fee",
    "daily_budget",
    "hold_base_fee",
    "hold_epochs",
)
AUTO_BUMP_FIELDS: Final = ("tenant", "within_epochs", "every_epochs", "max_fee")


def days_of(request: HttpRequest) -> int:
    """How many days the page looks back."""
    asked = request.GET.get("days", "")
    return int(asked) if asked in {str(days) for days in DAYS} else 7


@require_safe
@sign_in_required
def gas(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """The page."""
    by = request.GET.get("by", "")
    by, days, here = by if by in dict(GROUPS) else "method", days_of(request), reverse("gas")

    def part(**query: str) -> str:
        return f"{here}?{urlencode({'by': by, 'days': str(days), **query})}"

    data = PageData(viewer)
    sums = spend_summed(viewer, by=by, days=days, now=data.at)
    return page_render(
        request,
        "gas/page.html",
        title="Gas",
        section="gas",
        page_key="gas",
        data=data,
        **live_context(data),
        guards=guard_rows(data),
        auto_bumps=auto_bump_rows(data),
        methods=method_rule_rows(),
        may_change_methods=viewer.is_operator and viewer.may("sign"),
        spend=spend_rows(sums, by=by, data=data),
        by=dict(GROUPS)[by],
        groups=[
            Facet(key=key, label=label, href=part(by=key), on=key == by)
            for key, label in GROUPS
            if viewer.is_operator or key != "tenant"
        ],
        spans=[
            Facet(
                key=str(count),
                label="today" if count == 1 else f"{count} days",
                href=part(days=str(count)),
                on=count == days,
            )
            for count in DAYS
        ],
        csv=f"{reverse('gas-csv')}?{urlencode({'days': days})}",
        can_set=viewer.may("sign"),
        is_operator=viewer.is_operator,
    )


@require_safe
@sign_in_required
def gas_csv(request: HttpRequest, viewer: Principal) -> Download:
    """The spending as CSV, one line per day, sender and method."""
    rows = spend_since(viewer, days=days_of(request), now=PageData(viewer).at).select_related("tenant")
    cells = (
        (
            row.day.isoformat(),
            row.tenant.name if row.tenant else "",
            row.from_addr,
            row.to,
            row.method,
            row.kind,
            row.messages,
            row.gas_used,
            row.cost,
        )
        for row in rows.order_by("-day", "from_addr", "method", "pk")[:CSV_MAX].iterator(chunk_size=CHUNK)
    )
    return csv_answer("gas.csv", COLUMNS, cells)


def tenants_of(viewer: Principal) -> list[str]:
    """Names of the tenants for whom the viewer may set a guard."""
    if viewer.is_operator:
        return list(Tenant.objects.order_by("name").values_list("name", flat=True))
    return [viewer.tenant_name]


def tenant_named(viewer: Principal, name: str) -> Tenant | None:
    """Read the form's tenant; for the operator empty stands for everybody.  Raises BadValue."""
    if not name and viewer.is_operator:
        return None
    if (name or viewer.tenant_name) not in tenants_of(viewer):
        raise BadValue("there is no such tenant", field="tenant")
    return Tenant.objects.get(name=name or viewer.tenant_name)


@sign_in_required
def guard_new(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Make a guard."""
    if not viewer.may("sign"):
        raise Http404
    form, errors = form_values(request.POST.dict(), GUARD_FIELDS), {}
    if request.method == "POST":
        try:
            guard_of_form(viewer, form)
        except DomainError as refusal:
            errors[refusal.field or "form"] = refusal.reason
        else:
            return redirect(f"{reverse('gas')}#h-guards")
    return form_page(request, viewer, "gas/guard.html", title="Add a guard", form=form, errors=errors)


def guard_of_form(viewer: Principal, form: dict[str, str]) -> None:
    """Make the form's guard.  Raises DomainError with the field to blame."""
    values: dict[str, Any] = {
        "kind": form["kind"],
        "actor": form["actor"],
        "method": whole_read(form["method"], field="method") if form["method"] else None,
        "max_fee": amount_read(form["max_fee"], field="max_fee"),
        "daily_budget": amount_read(form["daily_budget"], field="daily_budget"),
        "hold_base_fee": amount_read(form["hold_base_fee"], field="hold_base_fee", is_fee=True),
        "hold_epochs": whole_read(form["hold_epochs"], field="hold_epochs"),
    }
    guard_set(principal=viewer, tenant=tenant_named(viewer, form["tenant"]), **values)


@require_POST
@sign_in_required
def guard_drop(request: HttpRequest, viewer: Principal, key: UUID) -> HttpResponse:
    """Remove a guard."""
    try:
        found = guard_get(viewer, key)
        if not viewer.may("sign"):
            raise Http404
        guard_remove(principal=viewer, guard=found)
    except (NotFound, ValidationError):
        raise Http404 from None
    except DomainError:  # a tenant at the guard of everybody
        raise Http404 from None
    if getattr(request, "htmx", False):
        data = PageData(viewer)
        shown = {"guards": guard_rows(data), "auto_bumps": auto_bump_rows(data)}
        return render(request, "gas/_guards.html", shown)
    return redirect(f"{reverse('gas')}#h-guards")


@sign_in_required
def auto_bump(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Set when a tenant's proofs pay more."""
    if not viewer.may("sign"):
        raise Http404
    form, errors = form_values(request.POST.dict(), AUTO_BUMP_FIELDS), {}
    if request.method == "POST":
        try:
            tenant = tenant_named(viewer, form["tenant"] or viewer.tenant_name)
            if tenant is None:
                raise BadValue("there is no such tenant", field="tenant")
            auto_bump_set(
                principal=viewer,
                tenant=tenant,
                is_on=request.POST.get("is_on") == "1",
                within_epochs=whole_read(form["within_epochs"], field="within_epochs"),
                every_epochs=whole_read(form["every_epochs"], field="every_epochs"),
                max_fee=amount_read(form["max_fee"], field="max_fee"),
            )
        except DomainError as refusal:
            errors[refusal.field or "form"] = refusal.reason
        else:
            return redirect(f"{reverse('gas')}#h-guards")
    else:
        form |= {"within_epochs": "20", "every_epochs": "5"}
    return form_page(
        request, viewer, "gas/auto_bump.html", title="Proofs in a auto_bump", form=form, errors=errors
    )


@sign_in_required
def rules(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Change the pool's own fee rules, under all others; the operator's alone."""
    if not (viewer.is_operator and viewer.may("sign")):
        raise Http404
    form, errors = form_of(shared_rules()), {}
    if request.method == "POST":
        form = form_values(request.POST.dict(), FIELDS)
        try:
            fees, quota = rules_read(form)
            shared_rules_set(principal=viewer, fees=fees, quota=quota)
        except DomainError as refusal:
            errors[refusal.field or "form"] = refusal.reason
        else:
            return redirect("gas")
    return form_page(request, viewer, "gas/rules.html", title="Fee rules", form=form, errors=errors)


def form_page(
    request: HttpRequest,
    viewer: Principal,
    template: str,
    *,
    title: str,
    form: dict[str, str],
    errors: dict[str, str],
) -> HttpResponse:
    """Render one of the forms."""
    return page_render(
        request,
        template,
        title=title,
        section="gas",
        page_key="",
        data=PageData(viewer),
        status=422 if errors else 200,
        form=form,
        errors=errors,
        tenants=tenants_of(viewer),
        is_operator=viewer.is_operator,
        kinds=KINDS,
        actors=sorted(ACTOR_METHODS),
    )
