"""Wallets: addresses with their balances and signers."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Final

from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods

from apps.checks.findings.results import Topic
from apps.core import formatting
from apps.core.clock import now
from apps.core.formatting import plural
from apps.core.languages import sentence_text
from apps.dashboard import cells
from apps.dashboard.cards import Verdict
from apps.dashboard.forms import PageForm, form_render
from apps.dashboard.fragments import FragmentContext
from apps.dashboard.list_page import Column, Empty, Link, ListPage
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.wallets.rows import WalletRow, wallet_rows
from apps.dashboard.pagination import page_counted
from apps.dashboard.registry import NavItem
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.text_fields import Text
from apps.dashboard.todo import verdict_by
from apps.users.rules.principals import Principal
from apps.wallets.selectors import WalletFilters, wallet_get, wallets_by_balance, wallets_by_state
from apps.wallets.services.label import LABEL_MAX, wallet_label_set

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from apps.wallets.models import Wallet

LIVE_MAX: Final = 200
"""Wallets whose rows are rendered anew when a signer comes or goes, the first of the list."""


def states(data: PageData) -> dict[str, int]:
    """Return how many wallets the viewer has, with a signer and without."""
    return wallets_by_state(data.viewer, now=data.at)


def verdict(data: PageData) -> Verdict:
    """Return in one sentence whether everything can be signed."""
    report, count = data.report_of(Topic.WALLETS), data.of(states)[""]
    if not count:
        return verdict_by(report, Verdict("", _("No signer has connected yet.")))
    many = plural(count, "address", "addresses")
    rest: StrOrPromise = ""
    if report.fails("signers_away"):
        rest = _("Messages from addresses without a signer wait for it.")
    elif not report.fails("checks_late"):
        rest = _("Every address in use has a connected signer.")
    return verdict_by(report, Verdict(sentence_text(many), rest))


def changed(context: FragmentContext, keys: list[str]) -> QuerySet[Wallet]:
    """Return the wallets that changed."""
    return wallets_by_balance(context.viewer).filter(pk__in=[key for key in keys if key.isdigit()])


def all_changed(context: FragmentContext, _keys: list[str]) -> QuerySet[Wallet]:
    """Return the first wallets: a signer came or went."""
    first = wallets_by_balance(context.viewer).values_list("pk", flat=True)[:LIVE_MAX]
    return wallets_by_balance(context.viewer).filter(pk__in=list(first))


def name(row: WalletRow) -> SafeString:
    """Return what a wallet is called, and its address."""
    rename = format_html(
        ' · <a href="{}">{}<span class="vh"> {}</span></a>', row.name_href, gettext("Name…"), row.name
    )
    below = '<span class="sub id" title="{}">{}{}</span>'
    named = format_html(below, row.address, row.short, rename if row.name_href else "")
    return cells.joined(row.name, named)


def signer(row: WalletRow) -> SafeString:
    """Return whether its signer is connected, and where its policy is."""
    if not row.policy_href:
        return cells.say(row.signer_tone, row.signer_label)
    of = gettext("of {name}").format(name=row.name)
    policy = format_html(
        '<span class="sub"><a href="{}">{}<span class="vh"> {}</span></a></span>',
        *(row.policy_href, gettext("Signing policy"), of),
    )
    return cells.joined(cells.say(row.signer_tone, row.signer_label), policy)


WALLETS: Final = ListPage(
    name="wallets",
    one="wallet",
    title=_("Wallets"),
    table=_("Table of wallets"),
    caption=_("Addresses, lowest balance first"),
    icon="wallets",
    template="wallets/list.html",
    rows=lambda data: wallets_by_balance(data.viewer),
    page=page_counted,
    lay_out=wallet_rows,
    id_of=attrgetter("key"),
    tone_of=attrgetter("tone"),
    verdict=verdict,
    verdict_on=("wallet", "head", "signer"),
    live={"wallet": changed, "signer": all_changed, "messages": all_changed},
    links=lambda _data: [Link(_("Sign records"), reverse("sign-records"))],
    filters=WalletFilters,
    search=_("Name or address"),
    facets=(
        ("", _("All"), "", ""),
        ("online", _("Signer online"), "ok", "ok"),
        ("offline", _("Signer offline"), "idle", "wait"),
    ),
    counts=lambda data: data.of(states),
    empty=lambda _data: Empty(
        _("No wallets yet"),
        _(
            "Addresses appear when a signer that holds their keys connects. Create a token for a signer on "
            "Tokens, which shows the command to start one."
        ),
    ),
    none=Empty(_("No matching wallets"), _("Choose another filter.")),
    columns=(
        Column(head=_("Name"), cell=name, css="keep", is_name=True, key="name", by="label"),
        Column(head=_("Role"), cell=attrgetter("used"), css="c-wide", key="role"),
        Column(
            head=_("Kind"),
            cell=lambda row: format_html('<span class="tag">{}</span>', row.kind),
            css="keep",
            key="kind",
            by="key_type",
        ),
        Column(
            head=_("Balance"),
            cell=lambda row: cells.fil(row.row.balance, is_strong=True),
            css="num",
            key="balance",
            by="balance",
        ),
        Column(head=_("Nonce"), cell=attrgetter("nonce"), css="num", key="nonce", by="nonce"),
        Column(head=_("Waiting"), cell=attrgetter("waiting"), css="num", key="waiting"),
        Column(head=_("Tenant"), cell=attrgetter("tenant"), css="keep lo", key="tenant", by="tenant__name"),
        Column(head=_("Signer"), cell=signer, css="c-state keep", is_plain=True, key="signer"),
    ),
    csv={
        "address": attrgetter("address"),
        "name": attrgetter("shown_label"),
        "tenant": attrgetter("tenant.name"),
        "kind": attrgetter("key_type"),
        "actor": lambda row: None if row.actor_id is None else f"f0{row.actor_id}",
        "balance_atto": attrgetter("balance"),
        "nonce": attrgetter("nonce"),
        "signer_online": lambda row: row.is_served(now()),
        "seen": lambda row: row.seen_at and row.seen_at.isoformat(),
    },
)


class NameForm(PageForm):
    """A wallet's name."""

    label = Text()


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
def rename(request: HttpRequest, viewer: Principal, address: str) -> HttpResponse:
    """Show the form for a wallet's name, which every page shows in the place of its address."""
    wallet = wallet_get(viewer, address)
    if not viewer.may("write") or not (viewer.is_operator or wallet.tenant_id == viewer.own_id):
        raise Http404
    form = NameForm.of(request, label=wallet.label)
    if form.is_valid():
        with form.refusals():
            wallet_label_set(principal=viewer, wallet=wallet, label=form.cleaned_data["label"])
            return redirect("wallets")
    return form_render(
        request,
        viewer,
        "wallets/name.html",
        form,
        title=_("Name a wallet"),
        section="wallets",
        wallet=wallet,
        short=formatting.shortened(wallet.address),
        label_max=LABEL_MAX,
    )


NAV: Final = NavItem("wallets", _("Wallets"), "wallets", place=(5, 5), jump="w")
urlpatterns: Final = [
    *WALLETS.urls,
    path("wallets/<str:address>/name/", rename, name="wallet-name"),
]
LIVE: Final = WALLETS.live_pages
