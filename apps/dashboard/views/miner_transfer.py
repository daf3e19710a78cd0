"""Transferring a miner: to whom, then what that changes, then it is done."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from apps.core import clock
from apps.core.errors import BadValue, DomainError, NotFound
from apps.dashboard.confirm_page import is_confirm_submitted
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.pickers import picker
from apps.dashboard.reauthentication import reauthenticate_first
from apps.dashboard.rows.miner_transfers import Stop, plan_facts, stop_of
from apps.dashboard.sessions import sign_in_required
from apps.miners.selectors import miner_get
from apps.miners.services.transfer import TransferRequest
from apps.proving.services.transfer import may_transfer, miner_transfer, transfer_plan
from apps.users.selectors import tenants_visible

if TYPE_CHECKING:
    from apps.miners.models import Miner
    from apps.proving.services.transfer import TransferPlan
    from apps.users.principals import Principal


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
def transfer(request: HttpRequest, viewer: Principal, address: str) -> HttpResponse:
    """Ask to whom, then show what goes, what stays and who loses what, then do it."""
    miner = miner_or_404(viewer, address)
    form = {name: request.POST.get(name, "").strip() for name in ("tenant", "from_tenant", "key")}
    form["key"] = form["key"][:64] if form["key"].isalnum() else uuid.uuid4().hex
    form["from_tenant"] = form["from_tenant"] or miner.tenant.name
    if request.method != "POST":
        return form_page(request, viewer, miner, form)
    if is_confirm_submitted(request) and (held := reauthenticate_first(request, viewer)) is not None:
        return held
    try:
        wish = wish_of(viewer, miner, form)
        if is_confirm_submitted(request):
            miner_transfer(wish, principal=viewer, now=clock.now())
            return redirect("miner", address)
        plan = transfer_plan(wish, principal=viewer, now=clock.now())
    except DomainError as refusal:
        return form_page(request, viewer, miner, form, stop_of(refusal, miner, form["tenant"]))
    return plan_page(request, viewer, wish, plan, form)


def miner_or_404(viewer: Principal, address: str) -> Miner:
    """Find a miner that this viewer may transfer; to anybody else there is no such page."""
    if not may_transfer(viewer):
        raise Http404
    try:
        return miner_get(viewer, address)
    except NotFound:
        raise Http404 from None


def wish_of(viewer: Principal, miner: Miner, form: dict[str, str]) -> TransferRequest:
    """Read the form.  Raises BadValue."""
    to_tenant = tenants_visible(viewer).filter(name=form["tenant"]).first()
    if to_tenant is None:
        raise BadValue("choose one of the tenants", field="tenant")
    return TransferRequest(miner=miner, to_tenant=to_tenant, from_tenant=form["from_tenant"], key=form["key"])


def form_page(
    request: HttpRequest, viewer: Principal, miner: Miner, form: dict[str, str], stop: Stop | None = None
) -> HttpResponse:
    """Ask to whom, with what stood in the way."""
    return page_render(
        request,
        "miners/transfer.html",
        title="Transfer miner",
        section="miners",
        page_key="",
        data=PageData(viewer),
        status=422 if stop else 200,
        miner=miner,
        form=form,
        stop=stop,
        tenants=picker(viewer, "tenant", value=form["tenant"], omit=miner.tenant.name),
        back=reverse("miner", args=[miner.address or miner.uuid]),
    )


def plan_page(
    request: HttpRequest, viewer: Principal, wish: TransferRequest, plan: TransferPlan, form: dict[str, str]
) -> HttpResponse:
    """Show what it changes; the second click does it."""
    return page_render(
        request,
        "miners/transfer_plan.html",
        title="Transfer miner",
        section="miners",
        page_key="",
        data=PageData(viewer),
        miner=wish.miner,
        to_tenant=wish.to_tenant,
        form=form,
        facts=plan_facts(wish, plan),
        back=reverse("miner", args=[wish.miner.address]),
    )
