"""One tenant: what it may use, and at which rate."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from django import forms
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST, require_safe

from apps.checks.selectors.tenant_use import DAYS
from apps.checks.services.channels import can_manage_channels
from apps.core.clock import DAY_S
from apps.core.errors import NotFound
from apps.dashboard.confirm_page import ConfirmPage, confirm_page_render, is_confirm_submitted
from apps.dashboard.first_steps import LIVE_KINDS, first_steps
from apps.dashboard.forms import PageForm, form_render
from apps.dashboard.fragments import FragmentContext, LivePage, fragment
from apps.dashboard.number_fields import Number, OptionalSize, Whole
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.pieces.storage import StorageBar, storage_bar
from apps.dashboard.pages.tenants.cards import list_cards
from apps.dashboard.pages.tenants.channels import channel_rows
from apps.dashboard.pages.tenants.listing import tenant_label
from apps.dashboard.pages.tenants.rates import RateRow, rate_row
from apps.dashboard.pages.tenants.use import own_use
from apps.dashboard.pickers import Picker, picker
from apps.dashboard.reauthentication import reauthenticate_first
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.text_fields import Text, Tick
from apps.gateway.selectors.signer_grants import grants_unchosen
from apps.miners.services.ownership import assignment_check, tenant_miner_grant, tenant_miner_revoke
from apps.pieces.selectors import storage_use
from apps.pieces.services.quotas import piece_quota_set
from apps.users.rules.principals import Principal
from apps.users.selectors.grants import miner_owner
from apps.users.selectors.rate_limits import rates_used
from apps.users.services.rate_limits import tenant_rate_limit_delete, tenant_rate_limit_set
from apps.users.services.tenant_grants import (
    miner_read,
    tenant_signer_grant,
    tenant_signer_revoke,
)
from apps.users.services.tenant_management import can_manage_tenants, tenant_edit, visible_tenant_find

if TYPE_CHECKING:
    from apps.users.models import MinerGrant, SignerGrant, Tenant


SHOWN: Final = 200
"""Miners and addresses of a tenant on its page."""
SERVICES: Final = ("Filecoin", "Gateway", "Message", "rest")
"""Beginnings of names that a rate can count."""
OPS: Final = (
    "open",
    "close",
    "comment",
    "miner",
    "miner-take",
    "signer",
    "signer-take",
    "rate",
    "rate-take",
    "quota",
)
TEXTS: Final = {
    "close": (
        _("Disable {name}"),
        _("Its people and tokens are refused everywhere within a second."),
        _("Disable"),
    ),
    "miner": (
        _("Grant {miner} to {name}"),
        _("It belongs to {owner}, which loses access to it."),
        _("Grant"),
    ),
    "miner-take": (
        _("Revoke {miner} from {name}"),
        _("This tenant's provers get no more requests for it and are refused."),
        _("Revoke"),
    ),
    "signer-take": (
        _("Revoke this address from {name}"),
        _("This tenant's messages are no longer signed with {address}."),
        _("Revoke"),
    ),
}
"""What is asked first: title, what it means, button."""


@dataclass(frozen=True, slots=True)
class TenantPage:
    """What the cards of a tenant's page show."""

    tenant: Tenant
    miners: list[tuple[MinerGrant, str]]
    """Each with the miner's name; empty while the pool does not work for it."""
    signers: list[tuple[SignerGrant, str]]
    """Each with the wallet's name."""
    unchosen: set[str]
    """Addresses of `signers` that another tenant's signer brought and nobody granted."""
    rates: list[RateRow]
    services: tuple[str, ...]
    storage: StorageBar
    give_miner: Picker
    give_wallet: Picker
    may_manage: bool


class TenantForm(PageForm):
    """What is changed of a tenant, one thing at a time."""

    miner = Text()
    open_mining = Tick()
    address = Text()
    service = Text()
    api = Text()
    capacity: forms.Field = Text()
    seconds: forms.Field = Text()
    key = Text()
    comment = Text()
    limit_bytes = OptionalSize()


class RateForm(TenantForm):
    """A rate that is set."""

    capacity = Whole(least=1, most=10**9)
    seconds = Number(least=Decimal("1e-9"), most=Decimal(366 * DAY_S))
    """A limit over more than a year is none."""


@require_safe
@sign_in_required
def tenant(request: HttpRequest, viewer: Principal, key: UUID) -> HttpResponse:
    """One tenant and what it has."""
    row = visible_tenant_find(viewer, key=str(key))
    return tenant_page(request, viewer, row, form_of(request, row))


def form_of(request: HttpRequest, row: Tenant, op: str = "") -> TenantForm:
    """Return the form as it was sent, or with what is set."""
    use = storage_use(row.pk)
    own = None if use.is_default else use.limit_bytes
    kind = RateForm if op == "rate" else TenantForm
    return kind.of(request, comment=row.comment, limit_bytes=own)


def tenant_page(request: HttpRequest, viewer: Principal, row: Tenant, form: TenantForm) -> HttpResponse:
    """Show it, with what was typed where something could not be taken."""
    data = PageData(viewer)
    miners = row.miner_grants.filter(deleted_at=None).order_by("actor_id")[: SHOWN + 1]
    signers = row.signer_grants.filter(deleted_at=None).order_by("created_at", "pk")[: SHOWN + 1]
    return form_render(
        request,
        viewer,
        "tenants/detail.html",
        form,
        title=row.name,
        section="tenants",
        page_key=f"tenant:{row.uuid}",
        data=data,
        state=tenant_label(row),
        first=first_steps(data, row),
        cards=list_cards(data, row),
        use=own_use(data, row.pk),
        use_days=DAYS,
        shown=SHOWN,
        has_more=len(miners) > SHOWN or len(signers) > SHOWN,
        channels=channel_rows(viewer, row),
        add_href=reverse("tenant-channel-new", args=[row.uuid])
        if can_manage_channels(viewer, tenant_id=row.pk)
        else "",
        page=TenantPage(
            tenant=row,
            miners=[(grant, data.names.miners.get(str(grant), "")) for grant in miners[:SHOWN]],
            signers=[(grant, data.names.wallets.get(grant.address, "")) for grant in signers[:SHOWN]],
            unchosen=set(grants_unchosen().filter(tenant=row).values_list("address", flat=True)),
            rates=[rate_row(used) for used in rates_used(row)],
            services=SERVICES,
            storage=storage_bar(row.pk),
            give_miner=picker(viewer, "miner", value=form.typed["miner"]),
            give_wallet=picker(viewer, "wallet", value=form.typed["address"]),
            may_manage=can_manage_tenants(viewer),
        ),
    )


def question_of(row: Tenant, op: str, form: dict[str, Any]) -> ConfirmPage | None:
    """Write the question before an action; None for what can be taken back as easily as it is done."""
    if op not in TEXTS:
        return None
    owner = miner_owner(actor_id=miner_read(form["miner"])) if op == "miner" else ""
    if op == "miner" and owner in ("", row.name):
        return None
    title, text, label = (pattern.format(name=row.name, owner=owner, **form) for pattern in TEXTS[op])
    hidden_fields = tuple((name, value) for name, value in form.items() if value)
    back = reverse("tenant", args=[row.uuid])
    return ConfirmPage(
        title, text, label, back=back, page=row.name, section="tenants", hidden_fields=hidden_fields
    )


def act_do(viewer: Principal, row: Tenant, op: str, form: dict[str, Any]) -> None:
    """Do one action.  Raises DomainError."""
    who: dict[str, Any] = {"principal": viewer, "tenant": row}
    if op in ("open", "close"):
        tenant_edit(**who, enabled=op == "open")
    elif op == "comment":
        tenant_edit(**who, comment=form["comment"])
    elif op == "miner":
        tenant_miner_grant(**who, miner=form["miner"], open_mining=form["open_mining"])
    elif op == "miner-take":
        tenant_miner_revoke(**who, miner=form["miner"])
    elif op == "signer":
        tenant_signer_grant(**who, address=form["address"])
    elif op == "signer-take":
        tenant_signer_revoke(**who, address=form["address"])
    elif op == "quota":
        piece_quota_set(row, limit_bytes=form["limit_bytes"], by=viewer)
    elif op == "rate":
        rate: dict[str, Any] = {name: form[name] for name in ("service", "api", "capacity")}
        tenant_rate_limit_set(**who, **rate, reset_ns=int(form["seconds"] * 10**9))
    else:
        tenant_rate_limit_delete(**who, key=form["key"])


@require_POST
@sign_in_required
def action(request: HttpRequest, viewer: Principal, key: UUID, op: str) -> HttpResponse:
    """Change a tenant, or what it has."""
    row = visible_tenant_find(viewer, key=str(key))
    if op not in OPS or not can_manage_tenants(viewer):
        raise Http404
    if (held := reauthenticate_first(request, viewer)) is not None:
        return held
    form = form_of(request, row, op)
    if form.is_valid():
        with form.refusals():
            if op in ("miner", "miner-take"):  # a move that would be refused is not asked for
                actor_id = miner_read(form.cleaned_data["miner"])
                assignment_check(actor_id=actor_id, tenant=row if op == "miner" else None)
            question = question_of(row, op, form.cleaned_data)
            if question is not None and not is_confirm_submitted(request):
                return confirm_page_render(request, viewer, question)
            act_do(viewer, row, op, form.cleaned_data)
            return redirect("tenant", row.uuid)
    return tenant_page(request, viewer, row, form)


def first_steps_fragment(context: FragmentContext) -> Iterable[str]:
    try:
        row = visible_tenant_find(context.viewer, key=context.key)
    except NotFound:
        return
    yield fragment("dashboard/_first_steps.html", first=first_steps(context.data, row))


LIVE: Final = {"tenant": LivePage(dict.fromkeys(LIVE_KINDS, (first_steps_fragment,)))}
urlpatterns: Final = [
    path("tenants/<uuid:key>/", tenant, name="tenant"),
    path("tenants/<uuid:key>/<str:op>/", action, name="tenant-act"),
]
