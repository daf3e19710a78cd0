"""Guards, the automatic fee bump and the fee rules."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit
from uuid import UUID

from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path, reverse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from apps.core.errors import DomainError, NotFound
from apps.dashboard.forms import FeeRulesForm, PageForm, form_render
from apps.dashboard.fragments import FragmentContext, fragment
from apps.dashboard.notices import notice_leave
from apps.dashboard.number_fields import Amount, Integer
from apps.dashboard.object_fields import Found
from apps.dashboard.page_data import data_in_scope
from apps.dashboard.pages.gas.guard_rows import auto_bump_rows, guard_rows
from apps.dashboard.scope import scope_read
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.text_fields import Choice, Text
from apps.messages.selectors.fees import shared_rules_load
from apps.messages.selectors.gas_guards import auto_bump_rules, guard_get
from apps.messages.services.fee_rules import shared_rules_set
from apps.messages.services.guards import KINDS, auto_bump_set, guard_remove, guard_set
from apps.messages.services.method_rules import method_read
from apps.users.rules.principals import Principal
from apps.users.selectors.tenants import tenant_chosen, tenant_or_all, tenants_visible
from poolsite.filecoin.actors.decode import ACTOR_METHODS

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise


def guards_fragment(context: FragmentContext) -> Iterable[str]:
    """Yield the guards: a budget fills as messages land."""
    yield fragment(
        "gas/_guards.html", guards=guard_rows(context.data), auto_bumps=auto_bump_rows(context.data)
    )


def tenants_of(viewer: Principal) -> list[str]:
    """Names of the tenants for whom the viewer may set a guard."""
    return list(tenants_visible(viewer).values_list("name", flat=True))


class GuardForm(PageForm):
    """A guard; without a method it holds for all."""

    tenant = Found(tenant_or_all)
    kind = Choice([("", _("any")), *KINDS])
    actor = Choice([("", _("any")), *sorted(ACTOR_METHODS)])
    method = Text()
    max_fee = Amount()
    daily_budget = Amount()
    hold_base_fee = Amount(is_fee=True)
    hold_epochs = Integer()

    def values(self) -> dict[str, Any]:
        """Return what the guard limits; an empty method is any.  Raises BadValue."""
        sent = self.cleaned_data
        return sent | {"method": method_read(sent["method"], kind=sent["actor"]) if sent["method"] else None}


class AutoBumpForm(PageForm):
    """When the proofs of a tenant pay more."""

    tenant = Found(tenant_chosen)
    is_on = Choice([("1", ""), ("0", "")], coerce=lambda typed: typed == "1")
    within_epochs = Integer(initial=20)
    every_epochs = Integer(initial=5)
    max_fee = Amount()


@sign_in_required
def guard_new(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Make a guard."""
    if not viewer.may("sign"):
        raise Http404
    form = GuardForm.of(request, viewer)
    if form.is_valid():
        with form.refusals():
            guard_set(principal=viewer, **form.values())
            notice_leave(request, _("Guard added."))
            return redirect(f"{reverse('gas')}#h-guards")
    return form_page(request, viewer, "gas/guard.html", form, title=_("Add a guard"))


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
    except DomainError:  # a tenant may not edit the pool's guard
        raise Http404 from None
    if getattr(request, "htmx", False):
        page = urlsplit(request.headers.get("HX-Current-URL", ""))
        data = data_in_scope(viewer, scope_read(page.query))
        shown = {"guards": guard_rows(data), "auto_bumps": auto_bump_rows(data)}
        return render(request, "gas/_guards.html", shown)
    return redirect(f"{reverse('gas')}#h-guards")


@sign_in_required
def auto_bump(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Set when a tenant's proofs pay more."""
    if not viewer.may("sign"):
        raise Http404
    form = AutoBumpForm.of(request, viewer, **auto_bump_stored(request, viewer))
    if form.is_valid():
        with form.refusals():
            auto_bump_set(principal=viewer, **form.cleaned_data)
            notice_leave(request, _("Saved."))
            return redirect(f"{reverse('gas')}#h-guards")
    return form_page(request, viewer, "gas/auto_bump.html", form, title=_("Automatic fee bumps"))


def auto_bump_stored(request: HttpRequest, viewer: Principal) -> dict[str, Any]:
    """Return what the form begins with: the rule of the tenant in the address, else of the viewer's own."""
    tenants, wanted = tenants_of(viewer), request.GET.get("tenant", "")
    if wanted and wanted not in tenants:
        raise Http404
    name = wanted or (viewer.tenant_name if viewer.tenant_name in tenants else next(iter(tenants), ""))
    rule = auto_bump_rules(viewer).filter(tenant__name=name).first()
    if rule is None:
        return {"tenant": name}
    return {
        "tenant": name,
        "is_on": "1" if rule.is_on else "0",
        "within_epochs": rule.within_epochs,
        "every_epochs": rule.every_epochs,
        "max_fee": int(rule.max_fee),
    }


@sign_in_required
def rules(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Change the pool's own fee rules, under all others; the operator's alone."""
    if not (viewer.is_operator and viewer.may("sign")):
        raise Http404
    form = FeeRulesForm.of_row(request, shared_rules_load())
    if form.is_valid():
        with form.refusals():
            shared_rules_set(principal=viewer, fees=form.fees, quota=form.cleaned_data["quota"])
            notice_leave(request, _("Saved."))
            return redirect("gas")
    return form_page(request, viewer, "gas/rules.html", form, title=_("Fee rules"))


def form_page(
    request: HttpRequest, viewer: Principal, template: str, form: PageForm, *, title: StrOrPromise
) -> HttpResponse:
    """Render one of the forms."""
    return form_render(
        request,
        viewer,
        template,
        form,
        title=title,
        section="gas",
        tenants=tenants_of(viewer),
        is_operator=viewer.is_operator,
    )


urlpatterns: Final = [
    path("gas/guards/add/", guard_new, name="gas-guard-new"),
    path("gas/guards/<uuid:key>/remove/", guard_drop, name="gas-guard-remove"),
    path("gas/auto-bump/", auto_bump, name="gas-auto-bump"),
    path("gas/rules/", rules, name="gas-rules"),
]
