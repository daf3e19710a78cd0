"""Wallets: addresses with their balances and signers, and the latest signatures."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_safe

from apps.checks.findings.results import Topic
from apps.core import formatting
from apps.core.formatting import plural
from apps.core.languages import sentence_text
from apps.dashboard.cards import Verdict
from apps.dashboard.forms import PageForm, form_render
from apps.dashboard.fragments import FragmentContext, LivePage, fragment
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.wallets.rows import records_context, wallet_rows
from apps.dashboard.pagination import page_counted
from apps.dashboard.registry import NavItem
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.text_fields import Text
from apps.dashboard.todo import verdict_by
from apps.users.rules.principals import Principal
from apps.wallets.selectors import wallet_get, wallets_by_balance, wallets_visible
from apps.wallets.services.label import LABEL_MAX, wallet_label_set

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise


LIVE_MAX: Final = 200
"""Wallets whose rows are rendered anew when a signer comes or goes, the first of the list."""


def list_verdict_of(count: int, data: PageData) -> Verdict:
    """Return in one sentence whether everything can be signed."""
    report = data.report_of(Topic.WALLETS)
    if not count:
        return verdict_by(report, Verdict("", _("No signer has connected yet.")))
    many = plural(count, "address", "addresses")
    rest: StrOrPromise = ""
    if report.fails("signers_away"):
        rest = _("Messages from addresses without a signer wait for it.")
    elif not report.fails("checks_late"):
        rest = _("Every address in use has a connected signer.")
    return verdict_by(report, Verdict(sentence_text(many), rest))


def list_verdict(context: FragmentContext) -> Iterable[str]:
    count = wallets_visible(context.viewer).count()
    yield fragment("dashboard/_verdict.html", verdict=list_verdict_of(count, context.data))


def records_fragment(context: FragmentContext) -> Iterable[str]:
    yield fragment("wallets/_records.html", **records_context(context.data))


def rows(context: FragmentContext, keys: list[str]) -> Iterable[str]:
    """Render the changed wallets; a page shows those that it has."""
    known = [key for key in keys if key.isdigit()]
    for row in wallet_rows(wallets_by_balance(context.viewer).filter(pk__in=known), context.data):
        yield fragment("wallets/_row.html", wallet=row)


def all_rows(context: FragmentContext, _keys: list[str]) -> Iterable[str]:
    """Render the first wallets: a signer came or went."""
    for row in wallet_rows(wallets_by_balance(context.viewer)[:LIVE_MAX], context.data):
        yield fragment("wallets/_row.html", wallet=row)


@require_safe
@sign_in_required
def wallets(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Return the list, lowest balance first, and the latest signatures."""
    data = PageData(viewer)
    shown, pager = page_counted(wallets_by_balance(viewer), request.GET.get("after", ""))
    count = len(shown) if not (pager.newer or pager.older) else wallets_visible(viewer).count()
    return page_render(
        request,
        "wallets/list.html",
        title=_("Wallets"),
        section="wallets",
        page_key="wallets",
        data=data,
        wallets=wallet_rows(shown, data),
        pager=pager,
        verdict=list_verdict_of(count, data),
        **records_context(data),
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
    path("wallets/", wallets, name="wallets"),
    path("wallets/<str:address>/name/", rename, name="wallet-name"),
]
LIVE: Final = {
    "wallets": LivePage(
        {
            "wallet": (list_verdict,),
            "head": (list_verdict,),
            "signer": (list_verdict,),
            "message": (records_fragment,),
            "messages": (records_fragment,),
        },
        rows={"wallet": rows, "signer": all_rows, "messages": all_rows},
        findings=list_verdict,
    )
}
