"""Wallets: addresses with their balances and signers, and the latest signatures."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.db.models import Count
from django.http import Http404
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.translation import gettext as say
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_safe

from apps.checks.results import Topic
from apps.core import formatting
from apps.core.formatting import plural
from apps.dashboard.cards import Verdict
from apps.dashboard.forms import PageForm, form_render
from apps.dashboard.fragments import FragmentContext, LivePage, fragment
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.registry import NavItem
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.text_fields import Text
from apps.dashboard.todo import verdict_by
from apps.messages.methods import method_text
from apps.messages.selectors import messages_open
from apps.wallets.selectors import sign_records, wallet_get
from apps.wallets.services.label import LABEL_MAX, wallet_label
from poolsite.filecoin.address import BadAddress

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.http import HttpRequest, HttpResponse

    from apps.users.principals import Principal
    from apps.wallets.models import SignRecord, Wallet


@dataclass(frozen=True, slots=True)
class WalletRow:
    """One address in a list."""

    key: str
    name: str
    address: str
    short: str
    used: str
    kind: str
    balance: str
    nonce: str
    waiting: str
    tenant: str
    tone: str
    signer_tone: str
    signer_label: str
    policy_href: str
    """Page of its signer's policy; empty for a signer of somebody else's."""
    name_href: str
    """Where it is named; empty for whoever may not."""


def uses_of(address: str, data: PageData) -> str:
    """Return what the miners use an address for: `owner, worker of f01001`."""
    uses = []
    for miner in data.miners:
        roles = [role for role, held in (("owner", miner.owner), ("worker", miner.worker)) if held == address]
        roles += ["control"] if address in miner.control else []
        if roles:
            uses.append(
                say("{roles} of {miner}").format(roles=", ".join(roles), miner=miner.address or "new miner")
            )
    return "; ".join(uses) or formatting.NOTHING


def wallet_row(wallet: Wallet, *, data: PageData, waiting: int | None = None) -> WalletRow:
    """Lay out one wallet of `wallets_visible`."""
    own = data.viewer.is_operator or wallet.tenant_id == data.viewer.own_id
    tone, word = ("ok", "signer online") if wallet.is_served(data.at) else ("bad", "signer offline")
    return WalletRow(
        key=str(wallet.pk),
        name=wallet.label or formatting.shortened(wallet.address),
        address=wallet.address,
        short=formatting.shortened(wallet.address),
        used=uses_of(wallet.address, data),
        kind=wallet.key_type,
        balance=formatting.fil(wallet.balance),
        nonce=formatting.whole(wallet.nonce),
        waiting=formatting.whole(waiting),
        tenant=wallet.tenant.name,
        tone=tone,
        signer_tone=tone,
        signer_label=word,
        policy_href=reverse("policy", args=[wallet.address]) if own else "",
        name_href=reverse("wallet-name", args=[wallet.address]) if own and data.viewer.may("write") else "",
    )


SIGNED: Final = re.compile(r"message: method (\d+) to (f\w+)")
"""How a record names a message whose method has no name in its own room."""


def what_text(what: str, data: PageData) -> str:
    """Return what was signed, with the method's name where the receiver tells it."""
    found = SIGNED.fullmatch(what)
    if found is None:
        return what
    method, to = int(found[1]), found[2]
    try:
        name = method_text(to, method, kind="", miners=data.names.miners)
    except BadAddress:  # older records end after 60 characters
        return f"{what}…"
    return say("{name} to {miners}").format(
        name=name, miners=data.names.miners.get(to) or formatting.shortened(to)
    )


def record_row(record: SignRecord, *, data: PageData) -> dict[str, Any]:
    """Return an answer of a signer with the names of what it is about."""
    key = data.names.wallets.get(record.address) or formatting.shortened(record.address)
    return {"record": record, "key": key, "what": what_text(record.what, data)}


def messages_by_sender(viewer: Principal) -> dict[str, int]:
    """Count open messages by sender."""
    rows = messages_open(viewer).select_related(None).order_by()
    return dict(rows.values_list("from_addr").annotate(Count("pk")))


RECORDS: Final = 20
"""Signatures on the page."""


def wallet_rows(wallets: list[Wallet], data: PageData) -> list[WalletRow]:
    """Lay out wallets, lowest balance first."""
    waiting = messages_by_sender(data.viewer)
    ordered = sorted(wallets, key=lambda wallet: (wallet.balance or 0, wallet.pk))
    return [wallet_row(wallet, data=data, waiting=waiting.get(wallet.address, 0)) for wallet in ordered]


def record_rows(data: PageData) -> list[dict[str, Any]]:
    """Return the latest signatures."""
    return [record_row(record, data=data) for record in sign_records(data.viewer)[:RECORDS]]


def list_verdict_of(data: PageData) -> Verdict:
    """Return in one sentence whether everything can be signed."""
    report = data.report_of(Topic.WALLETS)
    if not data.wallets:
        return verdict_by(report, Verdict("", _("No signer has connected yet.")))
    many = plural(len(data.wallets), "address", "addresses")
    if report.fails("signers_away"):
        return verdict_by(
            report, Verdict(f"{many}.", _("Messages from addresses without a signer wait for it."))
        )
    return verdict_by(report, Verdict(f"{many},", _("all with a connected signer.")))


def list_verdict(context: FragmentContext) -> Iterable[str]:
    yield fragment("dashboard/_verdict.html", verdict=list_verdict_of(context.data))


def records_fragment(context: FragmentContext) -> Iterable[str]:
    yield fragment("wallets/_records.html", records=record_rows(context.data))


def rows(context: FragmentContext, keys: list[str]) -> Iterable[str]:
    """Render the changed wallets by their pk or address."""
    data = context.data
    wanted = [wallet for wallet in data.wallets if {str(wallet.pk), wallet.address} & set(keys)]
    for row in wallet_rows(wanted, data):
        yield fragment("wallets/_row.html", wallet=row)


def all_rows(context: FragmentContext) -> Iterable[str]:
    """Render every wallet: a signer came or went."""
    data = context.data
    for row in wallet_rows(data.wallets, data):
        yield fragment("wallets/_row.html", wallet=row)


@require_safe
@sign_in_required
def wallets(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Return the list, lowest balance first, and the latest signatures."""
    data = PageData(viewer)
    return page_render(
        request,
        "wallets/list.html",
        title=_("Wallets"),
        section="wallets",
        page_key="wallets",
        data=data,
        wallets=wallet_rows(data.wallets, data),
        records=record_rows(data),
        verdict=list_verdict_of(data),
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
            wallet_label(principal=viewer, wallet=wallet, label=form.cleaned_data["label"])
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


NAV: Final = NavItem("wallets", _("Wallets"), "wallets", place=(1, 12))
urlpatterns: Final = [
    path("wallets/", wallets, name="wallets"),
    path("wallets/<str:address>/name/", rename, name="wallet-name"),
]
LIVE: Final = {
    "wallets": LivePage(
        {
            "wallet": (list_verdict,),
            "head": (list_verdict,),
            "signer": (all_rows, list_verdict),
            "message": (records_fragment,),
            "messages": (all_rows, records_fragment),
        },
        rows={"wallet": rows},
        findings=list_verdict,
    )
}
