"""API tokens: who has them, revoking."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext, pgettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from apps.core import formatting
from apps.core.formatting import plural
from apps.core.languages import clauses_text, list_text, sentence_text
from apps.dashboard import cells
from apps.dashboard.cards import Verdict
from apps.dashboard.confirm_page import ConfirmPage, confirm_page_render, is_confirm_submitted
from apps.dashboard.html_time import time_html
from apps.dashboard.labels import StateLabel
from apps.dashboard.list_page import Column, Empty, Link, ListPage
from apps.dashboard.page_data import PageData
from apps.dashboard.pagination import page_in_turn
from apps.dashboard.reauthentication import reauthenticate_first
from apps.dashboard.registry import NavItem
from apps.dashboard.sessions import sign_in_required
from apps.users.rules.principals import Principal
from apps.users.selectors.tokens import TokenFilters, tokens_count, tokens_listed, tokens_visible
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


def verdict(data: PageData) -> Verdict:
    """Return in one sentence how many are good, and how many nobody uses."""
    valid, unused = tokens_count(data.viewer, now=data.at)
    rest = (
        gettext("{idle} of them never used.").format(idle=unused)
        if unused
        else gettext("All have been used.")
        if valid
        else ""
    )
    return Verdict(sentence_text(plural(valid, "valid token")), rest)


@dataclass(frozen=True, slots=True)
class TokenRow:
    """One token in the list."""

    row: Token
    label: StateLabel
    may_revoke: bool


def token_rows(rows: Sequence[Token], data: PageData) -> list[TokenRow]:
    """Lay out one page of the list."""
    may = can_manage_people(data.viewer)
    return [TokenRow(row, token_label(row, at=data.at), may and row.revoked_at is None) for row in rows]


def links(data: PageData) -> Iterable[Link]:
    """Return the buttons above the list."""
    yield Link(_("REST API"), reverse("api-docs"))
    if can_manage_people(data.viewer):
        yield Link(_("New token…"), reverse("token-new"), icon="plus", kind="primary")


def level(row: TokenRow) -> str:
    """Return what a token may do, and whose rows it sees."""
    return f"{row.row.perm}{gettext(', all tenants') if row.row.is_operator else ''}"


def last_used(row: TokenRow) -> SafeString:
    """Return when and from where a token was used last."""
    used = row.row.last_used_at
    return cells.joined(
        gettext("never") if used is None else time_html(used), cells.sub(row.row.last_used_from, "id")
    )


def expires(row: TokenRow) -> SafeString | str:
    """Return when a token ends."""
    return pgettext("expires", "never") if row.row.expires_at is None else time_html(row.row.expires_at)


def acts(row: TokenRow, token: str) -> SafeString:
    """Return the button that makes a token worthless."""
    if not row.may_revoke:
        return cells.EMPTY
    href = reverse("token-revoke", args=[row.row.pk])
    return cells.buttons(
        cells.post_button(href, gettext("Revoke…"), about=row.row.name, kind="danger", token=token)
    )


def moment_cell(field: str) -> Callable[[Token], str]:
    """Return how a time stands in the CSV: empty where there is none."""
    return lambda row: "" if (at := getattr(row, field)) is None else at.isoformat()


TOKENS: Final = ListPage(
    name="tokens",
    one="token",
    title=_("Tokens"),
    table=_("Table of tokens"),
    caption=_("Tokens, valid ones first"),
    icon="access",
    rows=lambda data: tokens_listed(data.viewer, now=data.at),
    page=page_in_turn,
    lay_out=token_rows,
    id_of=attrgetter("row.pk"),
    tones=(),
    verdict=verdict,
    links=links,
    filters=TokenFilters,
    search=_("Name, tenant or end of a token"),
    none=Empty(_("No matching tokens"), _("No token has that in its name.")),
    empty=lambda _data: Empty(_("No tokens yet"), _("Programs need a token to use the API.")),
    columns=(
        Column(
            head=_("Token"),
            cell=lambda row: cells.joined(row.row.name, cells.sub(f"…{row.row.hint}", "id")),
            is_name=True,
            key="name",
            by="name",
        ),
        Column(
            head=_("State"),
            cell=lambda row: cells.chip(row.label),
            css="tight c-state",
            is_plain=True,
            key="state",
            by="is_valid",
        ),
        Column(head=_("Level"), cell=level, css="c-half", key="level", by="perm"),
        Column(head=_("Limited to"), cell=lambda row: limits_text(row.row), css="wrap c-half", key="limits"),
        Column(
            head=_("Tenant"),
            cell=attrgetter("row.tenant.name"),
            css="keep lo",
            key="tenant",
            by="tenant__name",
        ),
        Column(head=_("Last used"), cell=last_used, css="keep", key="used", by="last_used_at"),
        Column(head=_("Expires"), cell=expires, css="keep", key="expires", by="expires_at"),
        Column(head=_("Actions"), acts=acts, css="tight c-wide"),
    ),
    csv={
        "id": attrgetter("pk"),
        "name": attrgetter("name"),
        "end": attrgetter("hint"),
        "tenant": attrgetter("tenant.name"),
        "valid": attrgetter("is_valid"),
        "level": attrgetter("perm"),
        "all_tenants": attrgetter("is_operator"),
        "components": lambda row: " ".join(row.scopes),
        "methods": lambda row: " ".join(row.methods),
        "miners": lambda row: " ".join(str(id_address(actor_id)) for actor_id in row.miners),
        "signers": lambda row: " ".join(row.signers),
        "joins": attrgetter("joins"),
        **{name: moment_cell(f"{name}_at") for name in ("created", "last_used", "expires", "revoked")},
        "last_used_from": attrgetter("last_used_from"),
    },
)


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


NAV: Final = NavItem("tokens", _("Tokens"), "access", place=(7, 3), jump="r")
urlpatterns: Final = [
    *TOKENS.urls,
    path("tokens/<uuid:key>/revoke/", revoke, name="token-revoke"),
]
