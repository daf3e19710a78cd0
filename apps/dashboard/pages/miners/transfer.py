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

from apps.core import clock, formatting
from apps.core.errors import BadValue, DomainError
from apps.core.formatting import plural
from apps.dashboard.cards import Fact
from apps.dashboard.confirm_page import is_confirm_submitted
from apps.dashboard.forms import PageForm, new_key
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.pickers import picker
from apps.dashboard.reauthentication import reauthenticate_first
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.text_fields import Text
from apps.miners.selectors import miner_get
from apps.miners.services.transfer import TransferRequest
from apps.proving.services.transfer import may_transfer, miner_transfer, transfer_plan
from apps.users.selectors import tenants_visible

if TYPE_CHECKING:
    from collections.abc import Iterable

    from apps.miners.models import Miner, MinerTransfer
    from apps.proving.services.transfer import TransferPlan
    from apps.users.principals import Principal


@dataclass(frozen=True, slots=True)
class Stop:
    """Why it cannot be, and where that is mended."""

    field: str
    """`tenant` where another choice would do."""
    text: str
    action: str = ""
    href: str = ""


def stop_of(refusal: DomainError, viewer: Principal, miner: Miner, to_tenant: str) -> Stop:
    """Write a refusal with the page that helps."""
    field = "tenant" if refusal.field == "tenant" else "form"
    action, href = help_for(refusal.field or "", viewer, miner, to_tenant)
    return Stop(field, refusal.reason, action, href)


def help_for(field: str, viewer: Principal, miner: Miner, to_tenant: str) -> tuple[str, str]:
    """Name the page where something is mended."""
    if field == "signer":
        row = tenants_visible(viewer).filter(name=to_tenant).first()
        return (
            (gettext("Tenant {to_tenant}").format(to_tenant=to_tenant), reverse("tenant", args=[row.uuid]))
            if row is not None
            else ("", "")
        )
    if field == "gateway":
        return "Gateway", reverse("gateway")
    if field == "sectors":
        return "Sectors", f"{reverse('sectors')}?miner={miner.address}"
    if field in ("window", "prover"):
        return "Hosts", reverse("hosts")
    return "", ""


def plan_facts(wish: TransferRequest, plan: TransferPlan) -> tuple[Fact, ...]:
    """List what changes and what stays."""
    return tuple(_facts(wish, plan))


def _facts(wish: TransferRequest, plan: TransferPlan) -> Iterable[Fact]:
    from_tenant, to_tenant = wish.miner.tenant.name, wish.to_tenant.name
    yield Fact(
        _("Tenant"),
        gettext("from {from_tenant} to {to_tenant}; {from_tenant} no longer sees it").format(
            to_tenant=to_tenant, from_tenant=from_tenant
        ),
    )
    yield Fact(
        _("Moves with it"),
        gettext("{sectors}, {deadlines} with sectors, all settings").format(
            sectors=plural(plan.sectors, "sector"), deadlines=plural(plan.deadlines, "deadline")
        ),
    )
    yield Fact(
        _("Stays"),
        gettext("messages that {from_tenant} pushed, their costs, and the audit log").format(
            from_tenant=from_tenant
        ),
    )
    if plan.messages:
        waiting = plural(plan.messages, "message")
        which = "which lands as" if plan.messages == 1 else "which land as"
        yield Fact(
            _("In progress"),
            gettext("{waiting} to it, {which} {from_tenant}'s: leave its signer connected until then").format(
                waiting=waiting, which=which, from_tenant=from_tenant
            ),
        )
    yield Fact(
        _("From now on"),
        gettext("{to_tenant} signs and pays for the miner's messages; its hosts prove and seal").format(
            to_tenant=to_tenant
        ),
    )
    shown = ", ".join(formatting.shortened(address) for address in plan.senders)
    yield Fact(
        _("Keys"),
        gettext(
            "{from_tenant} keeps access to {shown}: revoke it on the tenant's page if nothing else needs it"
        ).format(from_tenant=from_tenant, shown=shown),
    )
    if plan.tokens_revoked:
        yield Fact(
            _("Tokens revoked"),
            gettext("{tokens_revoked}: limited to this miner").format(
                tokens_revoked=", ".join(plan.tokens_revoked)
            ),
        )
    if plan.tokens_kept:
        yield Fact(
            _("Tokens that lose access"),
            gettext("{tokens_kept}: still valid for other miners").format(
                tokens_kept=", ".join(plan.tokens_kept)
            ),
        )


def came_text(last: MinerTransfer | None) -> str:
    """Return when a miner came to its tenant, and from whom, for the operator."""
    return (
        ""
        if last is None
        else gettext("Transferred from {from_tenant} on {at:%Y-%m-%d %H:%M} UTC.").format(
            from_tenant=last.from_tenant.name, at=last.at
        )
    )


class TransferForm(PageForm):
    """To whom; from whom it was when that was asked, and a key that makes a double click one transfer."""

    tenant = Text()
    from_tenant = Text()
    key = Text(initial=new_key)

    def clean_key(self) -> str:
        """Read the key of the form; what cannot be one is replaced."""
        typed = str(self.cleaned_data["key"])
        return typed[:64] if typed.isalnum() else new_key()


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
def transfer(request: HttpRequest, viewer: Principal, address: str) -> HttpResponse:
    """Show the form for the receiver, then what goes, what stays and who loses what, then do it."""
    miner = miner_or_404(viewer, address)
    form = TransferForm.of(request, from_tenant=miner.tenant.name)
    if not form.is_valid():
        return form_page(request, viewer, miner, form)
    if is_confirm_submitted(request) and (held := reauthenticate_first(request, viewer)) is not None:
        return held
    try:
        wish = wish_of(viewer, miner, form.cleaned_data)
        if is_confirm_submitted(request):
            miner_transfer(wish, principal=viewer, now=clock.now())
            return redirect("miner", address)
        plan = transfer_plan(wish, principal=viewer, now=clock.now())
    except DomainError as refusal:
        return form_page(request, viewer, miner, form, stop_of(refusal, viewer, miner, form.typed["tenant"]))
    return plan_page(request, viewer, wish, plan)


def miner_or_404(viewer: Principal, address: str) -> Miner:
    """Find a miner that this viewer may transfer; to anybody else there is no such page."""
    if not may_transfer(viewer):
        raise Http404
    return miner_get(viewer, address)


def wish_of(viewer: Principal, miner: Miner, sent: dict[str, str]) -> TransferRequest:
    """Read the form.  Raises BadValue."""
    to_tenant = tenants_visible(viewer).filter(name=sent["tenant"]).first()
    if to_tenant is None:
        raise BadValue(gettext("choose one of the tenants"), field="tenant")
    from_tenant = sent["from_tenant"] or miner.tenant.name
    return TransferRequest(miner=miner, to_tenant=to_tenant, from_tenant=from_tenant, key=sent["key"])


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
        status=422 if stop else 200,
        miner=miner,
        form=form,
        stop=stop,
        tenants=picker(viewer, "tenant", value=form.typed["tenant"], omit=miner.tenant.name),
        back=reverse("miner", args=[miner.address or miner.uuid]),
    )


def plan_page(
    request: HttpRequest, viewer: Principal, wish: TransferRequest, plan: TransferPlan
) -> HttpResponse:
    """Show what it changes; the second click does it."""
    return page_render(
        request,
        "miners/transfer_plan.html",
        title=_("Transfer miner"),
        section="miners",
        data=PageData(viewer),
        miner=wish.miner,
        to_tenant=wish.to_tenant,
        wish=wish,
        facts=plan_facts(wish, plan),
        back=reverse("miner", args=[wish.miner.address]),
    )


urlpatterns: Final = [
    path("miners/<str:address>/transfer/", transfer, name="miner-transfer"),
]
