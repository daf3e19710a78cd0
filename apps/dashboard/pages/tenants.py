"""Tenants: who they are, what they may use, and at which rate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.translation import gettext as say
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apps.core import formatting
from apps.core.formatting import plural
from apps.dashboard.cards import Verdict
from apps.dashboard.confirm_page import ConfirmPage, confirm_page_render, is_confirm_submitted
from apps.dashboard.forms import PageForm, form_render
from apps.dashboard.labels import StateLabel
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.pickers import picker
from apps.dashboard.reauthentication import reauthenticate_first
from apps.dashboard.registry import NavItem
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.text_fields import Text
from apps.miners.services.ownership import assignment_check
from apps.users.limits import rates_used
from apps.users.selectors import miner_owner, tenants_listed
from apps.users.services.tenant_management import (
    can_manage_tenants,
    miner_read,
    tenant_add,
    tenant_edit,
    tenant_miner_grant,
    tenant_miner_revoke,
    tenant_rate_limit_delete,
    tenant_rate_limit_set,
    tenant_signer_grant,
    tenant_signer_revoke,
    tenant_visible,
)

if TYPE_CHECKING:
    from uuid import UUID

    from apps.users.limits import RateUsed
    from apps.users.models import Tenant
    from apps.users.principals import Principal


@dataclass(frozen=True, slots=True)
class RateRow:
    """How much of a service a tenant may use, and how much of that it did."""

    key: str
    what: str
    rate: str
    left: str
    pct: int
    tone: str
    empty_in: str


def tenant_label(tenant: Tenant) -> StateLabel:
    """Return in words whether a tenant is let in."""
    return StateLabel("ok", _("enabled")) if tenant.enabled else StateLabel("idle", _("disabled"), "off")


def span_text(seconds: float) -> str:
    """`1 s`, `1 min`, `24 h`."""
    for size, name in ((3600, "h"), (60, "min")):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g} {name}"
    return f"{seconds:g} s"


def rate_row(used: RateUsed) -> RateRow:
    """Lay out one rate."""
    row, usage = used.row, used.usage
    named = f"{row.service or 'every service'}: {row.api}" if row.api else row.service
    rate = say("{capacity} in {reset_ns}").format(
        capacity=formatting.whole(row.capacity), reset_ns=span_text(row.reset_ns / 10**9)
    )
    return RateRow(
        key=str(row.uuid),
        what=named or "everything",
        rate=rate if row.capacity else "no limit",
        left=say("{left} left").format(left=formatting.whole(usage.left))
        if usage is not None
        else formatting.NOTHING,
        pct=round(100 * usage.used / usage.capacity) if usage is not None else 0,
        tone="bad" if usage is not None and usage.is_over else "run",
        empty_in=formatting.time_left(usage.reset_s) if usage is not None and usage.used else "",
    )


SHOWN: Final = 200
"""Tenants of the list; miners and addresses of one tenant."""
SERVICES: Final = ("Filecoin", "Gateway", "Message", "rest")
"""Beginnings of names that a rate can count."""
OPS: Final = ("open", "close", "comment", "miner", "miner-take", "signer", "signer-take", "rate", "rate-take")
TEXTS: Final = {
    "close": ("Disable {name}", "Its people and tokens are refused everywhere within a second.", "Disable"),
    "miner": ("Grant {miner} to {name}", "It belongs to {owner}, which loses access to it.", "Grant"),
    "miner-take": (
        "Revoke {miner} from {name}",
        "This tenant's provers get no more requests for it and are refused.",
        "Revoke",
    ),
    "signer-take": (
        "Revoke this address from {name}",
        "This tenant's messages are no longer signed with {address}.",
        "Revoke",
    ),
}
"""What is asked first: title, what it means, button."""


@require_safe
@sign_in_required
def tenants(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Return the list."""
    rows = tenants_listed(viewer, limit=SHOWN)
    return page_render(
        request,
        "tenants/list.html",
        title=_("Tenants"),
        section="tenants",
        data=PageData(viewer),
        tenants=[(row, tenant_label(row)) for row in rows],
        verdict=verdict_of(rows),
        may_make=can_manage_tenants(viewer),
    )


def verdict_of(rows: list[Tenant]) -> Verdict:
    """Return in one sentence who is there and who is shut out."""
    shut = sum(not row.enabled for row in rows)
    rest = say("{shut} of them disabled.").format(shut=shut) if shut else "All enabled." if rows else ""
    return Verdict(f"{plural(len(rows), 'tenant')}.", rest)


class NewTenantForm(PageForm):
    """A new tenant."""

    blamed = "name"
    name = Text()
    comment = Text()


class TenantForm(PageForm):
    """What is changed of a tenant, one thing at a time."""

    miner = Text()
    open_mining = Text()
    address = Text()
    service = Text()
    api = Text()
    capacity = Text()
    seconds = Text()
    key = Text()
    comment = Text()


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
def tenant_new(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Show the form for name and comment, and make the tenant."""
    if not can_manage_tenants(viewer):
        raise Http404
    form = NewTenantForm.of(request)
    if form.is_valid():
        if (held := reauthenticate_first(request, viewer)) is not None:
            return held
        with form.refusals():
            return redirect("tenant", tenant_add(principal=viewer, **form.cleaned_data).uuid)
    return form_render(request, viewer, "tenants/new.html", form, title=_("New tenant"), section="tenants")


@require_safe
@sign_in_required
def tenant(request: HttpRequest, viewer: Principal, key: UUID) -> HttpResponse:
    """One tenant and what it has."""
    row = tenant_visible(viewer, str(key))
    return tenant_page(request, viewer, row, TenantForm.of(request, comment=row.comment))


def tenant_page(request: HttpRequest, viewer: Principal, row: Tenant, form: TenantForm) -> HttpResponse:
    """Show it, with what was typed where something could not be taken."""
    miners = row.miner_grants.filter(deleted_at=None).order_by("actor_id")[: SHOWN + 1]
    signers = row.signer_grants.filter(deleted_at=None).order_by("created_at", "pk")[: SHOWN + 1]
    return form_render(
        request,
        viewer,
        "tenants/detail.html",
        form,
        title=row.name,
        section="tenants",
        tenant=row,
        state=tenant_label(row),
        miners=miners[:SHOWN],
        signers=signers[:SHOWN],
        shown=SHOWN,
        has_more=len(miners) > SHOWN or len(signers) > SHOWN,
        rates=[rate_row(used) for used in rates_used(row)],
        services=SERVICES,
        can_manage_tenants=can_manage_tenants(viewer),
        give_miner=picker(viewer, "miner", value=form.typed["miner"]),
        give_wallet=picker(viewer, "wallet", value=form.typed["address"]),
    )


def question_of(row: Tenant, op: str, form: dict[str, str]) -> ConfirmPage | None:
    """Write the question before an action; None for what can be taken back as easily as it is done."""
    if op not in TEXTS:
        return None
    owner = miner_owner(actor_id=miner_read(form["miner"])) if op == "miner" else ""
    if op == "miner" and owner in ("", row.name):
        return None
    title, text, label = (words.format(name=row.name, owner=owner, **form) for words in TEXTS[op])
    kept = tuple((name, value) for name, value in form.items() if value)
    back = reverse("tenant", args=[row.uuid])
    return ConfirmPage(title, text, label, back=back, page=row.name, section="tenants", kept=kept)


def miner_check(row: Tenant, op: str, form: dict[str, str]) -> None:
    """Refuse to move a miner that the pool works for.  Raises BadValue, MinerInUse."""
    if op in ("miner", "miner-take"):
        assignment_check(actor_id=miner_read(form["miner"]), tenant=row if op == "miner" else None)


def act_do(viewer: Principal, row: Tenant, op: str, form: dict[str, str]) -> None:
    """Do one action.  Raises DomainError."""
    who: dict[str, Any] = {"principal": viewer, "tenant": row}
    if op in ("open", "close"):
        tenant_edit(**who, enabled=op == "open")
    elif op == "comment":
        tenant_edit(**who, comment=form["comment"])
    elif op == "miner":
        tenant_miner_grant(**who, miner=form["miner"], open_mining=form["open_mining"] == "on")
    elif op == "miner-take":
        tenant_miner_revoke(**who, miner=form["miner"])
    elif op == "signer":
        tenant_signer_grant(**who, address=form["address"])
    elif op == "signer-take":
        tenant_signer_revoke(**who, address=form["address"])
    elif op == "rate":
        rate: dict[str, Any] = {name: form[name] for name in ("service", "api", "capacity", "seconds")}
        tenant_rate_limit_set(**who, **rate)
    else:
        tenant_rate_limit_delete(**who, key=form["key"])


@require_POST
@sign_in_required
def action(request: HttpRequest, viewer: Principal, key: UUID, op: str) -> HttpResponse:
    """Change a tenant, or what it has."""
    row = tenant_visible(viewer, str(key))
    if op not in OPS or not can_manage_tenants(viewer):
        raise Http404
    if (held := reauthenticate_first(request, viewer)) is not None:
        return held
    form = TenantForm.of(request, comment=row.comment)
    if form.is_valid():
        with form.refusals():
            with transaction.atomic():
                miner_check(row, op, form.cleaned_data)
            asked = question_of(row, op, form.cleaned_data)
            if asked is not None and not is_confirm_submitted(request):
                return confirm_page_render(request, viewer, asked)
            act_do(viewer, row, op, form.cleaned_data)
            return redirect("tenant", row.uuid)
    return tenant_page(request, viewer, row, form)


NAV: Final = NavItem("tenants", _("Tenants"), "tenants", place=(2, 3))
urlpatterns: Final = [
    path("tenants/", tenants, name="tenants"),
    path("tenants/new/", tenant_new, name="tenant-new"),
    path("tenants/<uuid:key>/", tenant, name="tenant"),
    path("tenants/<uuid:key>/<str:op>/", action, name="tenant-act"),
]
