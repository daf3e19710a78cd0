"""API tokens: who has them, revoking."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST, require_safe

from apps.core import formatting
from apps.core.formatting import plural
from apps.core.languages import clauses_text, list_text, sentence_text
from apps.dashboard.cards import Verdict
from apps.dashboard.confirm_page import ConfirmPage, confirm_page_render, is_confirm_submitted
from apps.dashboard.labels import StateLabel
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.pagination import ROWS, cursor_read, page_of
from apps.dashboard.reauthentication import reauthenticate_first
from apps.dashboard.registry import NavItem
from apps.dashboard.sessions import sign_in_required
from apps.users.rules.principals import Principal
from apps.users.selectors.tokens import TokenPlace, tokens_count, tokens_page, tokens_visible
from apps.users.services.people import can_manage_people
from apps.users.services.tokens import token_revoke
from poolsite.filecoin.address import id_address

if TYPE_CHECKING:
    from apps.users.models import Token


def token_label(token: Token, *, at: datetime) -> StateLabel:
    """Return in words whether a token is good."""
    if token.revoked_at is not None:
        return StateLabel("idle", _("revoked"), "off")
    if token.joined_uid:
        return StateLabel("idle", _("used"), "off")
    if token.expires_at is not None and token.expires_at <= at:
        return StateLabel("idle", pgettext_lazy("token", "expired"), "off")
    return (
        StateLabel("ok", _("valid"))
        if token.tenant.is_open
        else StateLabel("idle", _("tenant disabled"), "off")
    )


def part_text(token: Token) -> str:
    """`join a sealer, used by host-3f2a`: what a join token is for, and who used it."""
    return f"join a {token.joins}" + (
        gettext(", used by {joined_uid}").format(joined_uid=token.joined_uid) if token.joined_uid else ""
    )


def limits_text(token: Token) -> str:
    """`component signer; methods Gateway.*; miners f01000`."""
    joins = [part_text(token)] if token.joins else []
    parts = [
        ("components", [] if token.joins else token.scopes),
        ("methods", token.methods),
        ("miners", [str(id_address(actor_id)) for actor_id in token.miners]),
        ("signers", [formatting.shortened(address) for address in token.signers]),
    ]
    limits = [(name if len(values) > 1 else name[:-1], values) for name, values in parts if values]
    return clauses_text([*joins, *(f"{name} {list_text(values)}" for name, values in limits)]) or gettext(
        "no limit"
    )


def cursor_of(row: Token) -> str:
    """Name the last row of a page."""
    return f"{getattr(row, 'is_valid', False):d} {row.created_at.isoformat()} {row.pk}"


def place_read(text: str) -> TokenPlace | None:
    """Return the place that a cursor names; None for the first page."""
    if not text:
        return None
    is_valid, created_at, key = text.split(" ")
    return TokenPlace(is_valid == "1", datetime.fromisoformat(created_at), key)


@require_safe
@sign_in_required
def tokens(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Return the list, those that are valid first."""
    data, after = PageData(viewer), place_read(cursor_read(request.GET.get("after", ""), of="tokens"))
    shown, pager = page_of(
        tokens_page(viewer, now=data.at, after=after, limit=ROWS + 1),
        of="tokens",
        cursor_of=cursor_of,
        query={},
        is_first=after is None,
    )
    return page_render(
        request,
        "tokens/list.html",
        title=_("Tokens"),
        section="tokens",
        data=data,
        tokens=[(row, token_label(row, at=data.at), limits_text(row)) for row in shown],
        pager=pager,
        verdict=verdict_of(viewer, at=data.at),
        may_make=can_manage_people(viewer),
    )


def verdict_of(viewer: Principal, *, at: datetime) -> Verdict:
    """Return in one sentence how many are good, and how many nobody uses."""
    valid, unused = tokens_count(viewer, now=at)
    rest = (
        gettext("{idle} of them never used.").format(idle=unused)
        if unused
        else gettext("All have been used.")
        if valid
        else ""
    )
    return Verdict(sentence_text(plural(valid, "valid token")), rest)


@require_POST
@sign_in_required
def revoke(request: HttpRequest, viewer: Principal, key: str) -> HttpResponse:
    """Make a token worthless at once."""
    row = tokens_visible(viewer).filter(pk=key, revoked_at=None).first()
    if row is None or not can_manage_people(viewer):
        raise Http404
    if (held := reauthenticate_first(request, viewer)) is not None:
        return held
    if not is_confirm_submitted(request):
        title = gettext("Revoke {name}").format(name=row.name)
        text = _(
            "Its requests are refused within a second and its sockets are closed. This cannot be undone."
        )
        back = reverse("tokens")
        ask = ConfirmPage(title, text, _("Revoke"), back=back, page=_("Tokens"), section="tokens")
        return confirm_page_render(request, viewer, ask)
    token_revoke(row, by=viewer)
    return redirect("tokens")


NAV: Final = NavItem("tokens", _("Tokens"), "access", place=(2, 5))
urlpatterns: Final = [
    path("tokens/", tokens, name="tokens"),
    path("tokens/<uuid:key>/revoke/", revoke, name="token-revoke"),
]
