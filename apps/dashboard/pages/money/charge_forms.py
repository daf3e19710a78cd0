"""New terms of a tenant, and corrections of what it was charged: the operator's forms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods

from apps.blocks.selectors.billing import day_unsettled, tenant_billed, terms_now
from apps.blocks.services.billing_terms import billing_terms_set, correction_add
from apps.core import clock
from apps.dashboard.forms import PageForm, form_render
from apps.dashboard.notices import notice_leave
from apps.dashboard.number_fields import Amount, Day, Percent
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.text_fields import Choice, Key, Text
from apps.users.rules.principals import Principal
from apps.users.services.tenant_management import can_manage_tenants

if TYPE_CHECKING:
    from apps.users.models import Tenant

CREDIT: Final = "credit"


class TermsForm(PageForm):
    """New terms."""

    from_day = Day()
    reward_percent = Percent()
    power_price = Amount()
    monthly_sum = Amount()


DIRECTIONS: Final = (("charge", _("Charge")), (CREDIT, _("Credit")))


class CorrectionForm(PageForm):
    """A correction; the key makes a double click one."""

    direction = Choice(DIRECTIONS, initial="charge")
    amount = Amount()
    note = Text()
    key = Key()


def managed_tenant_find(viewer: Principal, key: UUID) -> Tenant:
    """Return a tenant whose charges the viewer sets.  Raises Http404."""
    if not can_manage_tenants(viewer):
        raise Http404
    return tenant_billed(viewer, key=key)


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
def terms_new(request: HttpRequest, viewer: Principal, key: UUID) -> HttpResponse:
    """Show the form for new terms, beginning with those that hold, and set them."""
    tenant, now = managed_tenant_find(viewer, key), clock.now()
    first = day_unsettled(tenant, now=now)
    names = ("reward_percent", "power_price", "monthly_sum")
    held = terms_now([tenant], day=max(first, now.date())).get(tenant.pk)
    form = TermsForm.of(
        request,
        from_day=max(first, now.date()),
        **({} if held is None else {name: getattr(held, name) for name in names}),
    )
    if form.is_valid():
        with form.refusals():
            billing_terms_set(principal=viewer, tenant=tenant, now=now, **form.cleaned_data)
            notice_leave(request, _("Terms set."))
            return redirect("charges-tenant", tenant.uuid)
    return form_render(
        request,
        viewer,
        "money/terms.html",
        form,
        title=gettext("Terms of {tenant}").format(tenant=tenant.name),
        section="money",
        tenant=tenant,
        first=first,
    )


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
def correction_new(request: HttpRequest, viewer: Principal, key: UUID) -> HttpResponse:
    """Show the form for a correction, and add it."""
    tenant = managed_tenant_find(viewer, key)
    form = CorrectionForm.of(request)
    if form.is_valid():
        given = form.cleaned_data
        amount = -given["amount"] if given["direction"] == CREDIT else given["amount"]
        with form.refusals():
            correction_add(
                principal=viewer,
                tenant=tenant,
                amount=amount,
                note=given["note"],
                key=given["key"],
                now=clock.now(),
            )
            notice_leave(request, _("Correction added."))
            return redirect("charges-tenant", tenant.uuid)
    return form_render(
        request,
        viewer,
        "money/correction.html",
        form,
        title=gettext("Correct the charges of {tenant}").format(tenant=tenant.name),
        section="money",
        tenant=tenant,
    )


urlpatterns: Final = [
    path("money/charges/<uuid:key>/terms/", terms_new, name="charges-terms"),
    path("money/charges/<uuid:key>/correction/", correction_new, name="charges-correction"),
]
