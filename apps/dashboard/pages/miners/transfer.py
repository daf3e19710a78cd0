"""Transferring a miner to another tenant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods

from apps.core import clock
from apps.core.errors import DomainError
from apps.dashboard.confirm_page import is_confirm_submitted
from apps.dashboard.forms import PageForm
from apps.dashboard.layout import page_render
from apps.dashboard.object_fields import Found
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.miners.transfer_facts import plan_facts
from apps.dashboard.pickers import picker
from apps.dashboard.reauthentication import reauthenticate_first
from apps.dashboard.refusals import refusal_text
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.text_fields import Key, Text
from apps.miners.selectors.miners import miner_get
from apps.miners.services.transfer import TransferRequest
from apps.proving.services.transfer import TransferPlan, may_transfer, miner_transfer, transfer_plan
from apps.users.rules.principals import Principal
from apps.users.selectors.tenants import tenant_resolve

if TYPE_CHECKING:
    from apps.miners.models import Miner
    from apps.users.models import Tenant


@dataclass(frozen=True, slots=True)
class Stop:
    """Why it cannot be, and where that is mended."""

    text: str
    action: str = ""
    href: str = ""


def stop_of(refusal: DomainError, miner: Miner, to_tenant: Tenant) -> Stop:
    """Write a refusal with the page that helps."""
    action, href = help_for(refusal.field or "", miner, to_tenant)
    return Stop(refusal_text(refusal), action, href)


def help_for(field: str, miner: Miner, to_tenant: Tenant) -> tuple[str, str]:
    """Name the page where something is mended."""
    if field == "signer":
        title = gettext("Tenant {to_tenant}").format(to_tenant=to_tenant.name)
        return title, reverse("tenant", args=[to_tenant.uuid])
    if field == "gateway":
        return gettext("Gateway"), reverse("gateway")
    if field == "sectors":
        return gettext("Sectors"), f"{reverse('sectors')}?miner={miner.address}"
    if field in ("window", "prover"):
        return gettext("Hosts"), reverse("hosts")
    return "", ""


class TransferForm(PageForm):
    """To whom; from whom it was when that was asked, and a key that makes a double click one transfer."""

    tenant = Found(tenant_resolve)
    from_tenant = Text()
    key = Key()


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
def transfer(request: HttpRequest, viewer: Principal, address: str) -> HttpResponse:
    """Show the form for the receiver, then what goes, what stays and who loses what, then do it."""
    miner = miner_or_404(viewer, address)
    form = TransferForm.of(request, viewer, from_tenant=miner.tenant.name)
    if not form.is_valid():
        return form_page(request, viewer, miner, form)
    sent = form.cleaned_data
    transfer_request = TransferRequest(
        miner=miner,
        to_tenant=sent["tenant"],
        from_tenant=sent["from_tenant"] or miner.tenant.name,
        key=sent["key"],
    )
    if is_confirm_submitted(request) and (held := reauthenticate_first(request, viewer)) is not None:
        return held
    try:
        if is_confirm_submitted(request):
            miner_transfer(transfer_request, principal=viewer, now=clock.now())
            return redirect("miner", address)
        plan = transfer_plan(transfer_request, principal=viewer, now=clock.now())
    except DomainError as refusal:
        if refusal.field == "tenant":  # another choice would do
            form.add_error("tenant", refusal_text(refusal))
            return form_page(request, viewer, miner, form)
        return form_page(request, viewer, miner, form, stop_of(refusal, miner, sent["tenant"]))
    return plan_page(request, viewer, transfer_request, plan)


def miner_or_404(viewer: Principal, address: str) -> Miner:
    """Find a miner that this viewer may transfer; to anybody else there is no such page."""
    if not may_transfer(viewer):
        raise Http404
    return miner_get(viewer, address)


def form_page(
    request: HttpRequest, viewer: Principal, miner: Miner, form: TransferForm, stop: Stop | None = None
) -> HttpResponse:
    """Show the form for the receiver, with what stood in the way."""
    return page_render(
        request,
        "miners/transfer.html",
        title=_("Transfer miner"),
        section="miners",
        data=PageData(viewer),
        status=422 if stop or form.errors else 200,
        miner=miner,
        form=form,
        stop=stop,
        tenants=picker(viewer, "tenant", value=form.typed["tenant"], omit=miner.tenant.name),
        back=reverse("miner", args=[miner.address or miner.uuid]),
    )


def plan_page(
    request: HttpRequest, viewer: Principal, transfer_request: TransferRequest, plan: TransferPlan
) -> HttpResponse:
    """Show what it changes; the second click does it."""
    return page_render(
        request,
        "miners/transfer_plan.html",
        title=_("Transfer miner"),
        section="miners",
        data=PageData(viewer),
        miner=transfer_request.miner,
        to_tenant=transfer_request.to_tenant,
        transfer_request=transfer_request,
        facts=plan_facts(transfer_request, plan),
        back=reverse("miner", args=[transfer_request.miner.address]),
    )


urlpatterns: Final = [
    path("miners/<str:address>/transfer/", transfer, name="miner-transfer"),
]
