"""A client's tokens on its page: created, shown once, revoked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apps.core import clock, formatting
from apps.dashboard.confirm_page import ConfirmPage, confirm_page_render, is_confirm_submitted
from apps.dashboard.forms import PageForm, form_render
from apps.dashboard.labels import StateLabel
from apps.dashboard.layout import page_render
from apps.dashboard.notices import notice_leave
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.tokens.new import LIVES
from apps.dashboard.reauthentication import reauthenticate_first
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.shown_once import secret_keep, secret_take
from apps.dashboard.text_fields import Choice, Text
from apps.market.selectors.client_tokens import client_token_get, client_tokens
from apps.market.selectors.deals import client_get
from apps.market.services.client_tokens import client_token_create, client_token_revoke
from apps.users.rules.principals import Principal
from apps.users.services.people import can_manage_people

if TYPE_CHECKING:
    from apps.market.models import ClientToken

MADE: Final = "client_token_made "
"""With the client's address: what its page of a new token shows once."""


@dataclass(frozen=True, slots=True)
class TokenRow:
    """One token of a client."""

    row: ClientToken
    label: StateLabel
    revoke_href: str
    """Empty where it cannot be revoked by the viewer, or is worth nothing already."""


def may_give(viewer: Principal) -> bool:
    """Return whether this caller gives clients tokens."""
    return can_manage_people(viewer) and not viewer.is_limited


def label_of(row: ClientToken, *, at: datetime) -> StateLabel:
    """Return whether a token is good."""
    if row.revoked_at is not None:
        return StateLabel("idle", _("revoked"), "off")
    if row.expires_at is not None and row.expires_at <= at:
        return StateLabel("idle", pgettext_lazy("token", "expired"), "off")
    return StateLabel("ok", _("valid"))


def token_rows(viewer: Principal, client: str, *, at: datetime) -> list[TokenRow]:
    """Lay out the tokens of a client."""
    may = may_give(viewer)
    return [
        TokenRow(
            row,
            label_of(row, at=at),
            reverse("client-token-revoke", args=[client, row.uuid]) if may and row.revoked_at is None else "",
        )
        for row in client_tokens(viewer, client)
    ]


class ClientTokenForm(PageForm):
    """A client's token: what it is called, and how long it is good."""

    blamed = "name"
    name = Text(required=True, longest=100)
    life = Choice(LIVES, initial=90, coerce=int)


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
def client_token_new(request: HttpRequest, viewer: Principal, address: str) -> HttpResponse:
    """Show the form for a client's token, and create it."""
    if not may_give(viewer):
        raise Http404
    client = client_get(viewer, address)["client"]
    form = ClientTokenForm.of(request)
    if form.is_bound and (held := reauthenticate_first(request, viewer)) is not None:
        return held
    if form.is_valid():
        with form.refusals():
            days = form.cleaned_data["life"]
            expires_at = clock.now() + timedelta(days=days) if days else None
            name = form.cleaned_data["name"]
            text = client_token_create(client=client, name=name, expires_at=expires_at, by=viewer)[1]
            secret_keep(request, MADE + client, text=text)
            return redirect("client-token-made", client)
    return form_render(
        request,
        viewer,
        "deals/client_token_new.html",
        form,
        title=_("Token of the client"),
        section="clients",
        client=formatting.shortened(client),
        client_href=reverse("client", args=[client]),
    )


@require_safe
@sign_in_required
def client_token_made(request: HttpRequest, viewer: Principal, address: str) -> HttpResponse:
    """Show the text of the token that was just created, once, and where the client uses it."""
    client = client_get(viewer, address)["client"]
    made = secret_take(request, MADE + client)
    if not made:
        return redirect("client", client)
    return page_render(
        request,
        "deals/client_token_made.html",
        title=_("Token of the client"),
        section="clients",
        data=PageData(viewer),
        text=made["text"],
        place=request.build_absolute_uri(reverse("own-deals")),
        client=formatting.shortened(client),
        client_href=reverse("client", args=[client]),
    )


@require_POST
@sign_in_required
def client_token_end(request: HttpRequest, viewer: Principal, address: str, key: UUID) -> HttpResponse:
    """Ask, then revoke a client's token."""
    if not may_give(viewer):
        raise Http404
    client = client_get(viewer, address)["client"]
    row = client_token_get(viewer, client, key)
    if (held := reauthenticate_first(request, viewer)) is not None:
        return held
    back = reverse("client", args=[client])
    if not is_confirm_submitted(request):
        title = gettext("Revoke {name}").format(name=row.name)
        text = _("The client's next request with it is refused. This cannot be undone.")
        page = formatting.shortened(client)
        ask = ConfirmPage(title, text, _("Revoke"), back=back, page=page, section="clients")
        return confirm_page_render(request, viewer, ask)
    client_token_revoke(row, by=viewer)
    notice_leave(request, gettext("{name} is revoked.").format(name=row.name))
    return redirect(back)


urlpatterns: Final = [
    path("clients/<str:address>/tokens/new/", client_token_new, name="client-token-new"),
    path("clients/<str:address>/tokens/made/", client_token_made, name="client-token-made"),
    path("clients/<str:address>/tokens/<uuid:key>/revoke/", client_token_end, name="client-token-revoke"),
]
