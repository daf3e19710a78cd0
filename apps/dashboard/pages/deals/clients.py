"""Clients: who proposed deals, how these stand, and whether miners make deals with them; one client."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods

from apps.core import formatting
from apps.core.formatting import plural
from apps.core.languages import list_text
from apps.dashboard import cells
from apps.dashboard.cards import Fact, Verdict
from apps.dashboard.forms import PageForm
from apps.dashboard.html_time import time_html
from apps.dashboard.labels import StateLabel
from apps.dashboard.layout import page_render
from apps.dashboard.list_page import Column, Empty, ListPage
from apps.dashboard.notices import notice_leave
from apps.dashboard.object_fields import Found
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.deals.client_tokens import may_give, token_rows
from apps.dashboard.pages.deals.rows import LABELS, deal_rows, reason_text
from apps.dashboard.pagination import page_counted
from apps.dashboard.registry import NavItem
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.text_fields import Choice
from apps.market.rules import is_client_accepted
from apps.market.selectors.deals import (
    ClientFilters,
    ClientRule,
    client_get,
    client_markets,
    client_reasons,
    client_rules,
    clients_visible,
    deals_visible,
)
from apps.market.services.markets import client_rule_set
from apps.miners.selectors.miners import miner_get
from apps.users.rules.principals import Principal

if TYPE_CHECKING:
    from apps.market.models import MinerMarket

DEALS_SHOWN: Final = 20
REASONS_SHOWN: Final = 20
BLOCKED: Final = StateLabel("bad", pgettext_lazy("a client", "blocked"))
ALLOWED: Final = StateLabel("ok", _("allowed"))


@dataclass(frozen=True, slots=True)
class ClientRow:
    """One client as the list shows it: `row` as `clients_visible` gives it."""

    row: dict[str, Any]
    rule: ClientRule

    @property
    def label(self) -> StateLabel | None:
        """Return what the rules that name it say."""
        return BLOCKED if self.rule.blocked else ALLOWED if self.rule.allowed else None

    @property
    def by(self) -> str:
        """Return which miners' rules those are."""
        return list_text(self.rule.blocked or self.rule.allowed)


def rules_of(data: PageData) -> dict[str, ClientRule]:
    """Return which miners name which clients in their rules."""
    return client_rules(data.viewer)


def laid_out(rows: list[dict[str, Any]], data: PageData) -> list[ClientRow]:
    """Lay out clients."""
    return [ClientRow(row, data.of(rules_of).get(row["client"], ClientRule())) for row in rows]


def verdict(data: PageData) -> Verdict:
    """Return in one sentence how many clients there are."""
    count = clients_visible(data.viewer).count()
    return Verdict("", gettext("{clients} proposed deals.").format(clients=plural(count, "client")))


def name(row: ClientRow) -> SafeString:
    """Return its address."""
    address = row.row["client"]
    link = '<a class="id" href="{}" title="{}">{}</a>'
    return format_html(link, reverse("client", args=[address]), address, formatting.shortened(address))


def rule(row: ClientRow) -> SafeString | str:
    """Return whether rules of miners name it."""
    return cells.EMPTY if row.label is None else cells.joined(cells.chip(row.label), cells.sub(row.by))


def number_column(key: str, head: Any, css: str = "num") -> Column:
    """Return a column with how many deals are so."""
    return Column(
        head=head,
        cell=lambda row: formatting.whole(row.row[key]),
        css=css,
        key=key,
        sort=lambda row, _data: row[key],
    )


CLIENTS: Final = ListPage(
    name="clients",
    one="client",
    title=_("Clients"),
    table=_("Table of clients"),
    caption=_("Clients, the one with the newest deal first"),
    icon="storage",
    rows=lambda data: clients_visible(data.viewer),
    page=page_counted,
    lay_out=laid_out,
    id_of=lambda row: row.row["client"],
    tone_of=lambda row: "" if row.label is None else str(row.label.tone),
    tones=("bad",),
    verdict=verdict,
    filters=ClientFilters,
    places=("client", "miner"),
    places_label=_("Filter"),
    facets=(
        ("", _("All"), "", ""),
        ("blocked", pgettext_lazy("a client", "Blocked"), "bad", "bad"),
        ("allowed", _("Allowed by name"), "ok", "ok"),
    ),
    empty=lambda _data: Empty(
        _("No clients yet"),
        _("A client appears here with its first proposal to a miner whose market is open."),
    ),
    none=Empty(_("No matching clients"), _("No clients match these filters.")),
    columns=(
        Column(
            head=_("Client"),
            cell=name,
            css="keep",
            is_name=True,
            key="client",
            sort=lambda row, _data: row["client"],
        ),
        Column(head=_("Rule"), cell=rule, css="c-half", key="rule"),
        number_column("active", _("Active"), css="num keep"),
        number_column("coming", _("In progress")),
        number_column("ended", _("Ended"), css="num lo"),
        number_column("refused", _("Refused")),
        number_column("failed", _("Failed")),
        Column(
            head=_("Stored"),
            cell=lambda row: formatting.joined_size(row.row["stored"]),
            css="num keep",
            key="stored",
            sort=lambda row, _data: row["stored"],
        ),
        Column(
            head=_("Last deal"),
            cell=lambda row: time_html(row.row["last_at"]),
            css="num keep",
            key="last",
            sort=lambda row, _data: row["last_at"],
        ),
    ),
    csv={
        "client": lambda row: row.row["client"],
        "blocked_by": lambda row: " ".join(row.rule.blocked),
        "allowed_by": lambda row: " ".join(row.rule.allowed),
        "active": lambda row: row.row["active"],
        "coming": lambda row: row.row["coming"],
        "ended": lambda row: row.row["ended"],
        "refused": lambda row: row.row["refused"],
        "failed": lambda row: row.row["failed"],
        "stored_bytes": lambda row: row.row["stored"],
        "first": lambda row: row.row["first_at"].isoformat(),
        "last": lambda row: row.row["last_at"].isoformat(),
    },
    csv_rows=laid_out,
)


@dataclass(frozen=True, slots=True)
class RuleRow:
    """Whether one miner makes deals with a client."""

    miner: str
    href: str
    label: StateLabel
    says: str
    is_blocked: bool
    is_open: bool


def rule_row(market: MinerMarket, client: str) -> RuleRow:
    """Lay out a miner's rule for a client."""
    is_accepted = is_client_accepted(client, market=market)
    return RuleRow(
        miner=str(market.miner),
        href=reverse("miner-market", args=[market.miner.address]),
        label=ALLOWED if is_accepted else BLOCKED,
        says=str(market.get_clients_rule_display()),
        is_blocked=not is_accepted,
        is_open=market.is_open,
    )


class RuleForm(PageForm):
    """Whether a miner makes deals with the client."""

    rule = Choice(["allow", "block"])
    miner = Found(miner_get)


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
def client(request: HttpRequest, viewer: Principal, address: str) -> HttpResponse:
    """Show one client, and block or allow it."""
    row, form = client_get(viewer, address), RuleForm.of(request, viewer)
    if form.is_bound and not viewer.may("sign"):
        raise Http404
    if form.is_valid():
        with form.refusals():
            miner, is_blocked = form.cleaned_data["miner"], form.cleaned_data["rule"] == "block"
            client_rule_set(miner, client=row["client"], is_blocked=is_blocked, by=viewer)
            text = _("{miner} makes no deals with it.") if is_blocked else _("{miner} makes deals with it.")
            notice_leave(request, str(text).format(miner=miner))
            return redirect("client", row["client"])
    data = PageData(viewer)
    deals = deals_visible(viewer).filter(client=row["client"])[:DEALS_SHOWN]
    reasons = client_reasons(viewer, row["client"])
    return page_render(
        request,
        "deals/client.html",
        title=gettext("Client {name}").format(name=formatting.shortened(row["client"])),
        section="clients",
        data=data,
        status=422 if form.errors else 200,
        wrong=form.why,
        facts=facts_of(row),
        rules=[rule_row(market, row["client"]) for market in client_markets(viewer)],
        reasons=[
            (LABELS[state], reason_text(state, reason), count)
            for state, reason, count in reasons[:REASONS_SHOWN]
        ],
        deals=deal_rows(deals),
        deals_href=f"{reverse('deals')}?{urlencode({'client': row['client']})}",
        may_change=viewer.may("sign"),
        tokens=token_rows(viewer, row["client"], at=data.at),
        token_new_href=reverse("client-token-new", args=[row["client"]]) if may_give(viewer) else "",
    )


def facts_of(row: dict[str, Any]) -> list[Fact]:
    """Return how a client's deals stand."""
    counts = (("active", _("Active")), ("coming", _("In progress")), ("ended", _("Ended")))
    more = (("refused", _("Refused")), ("failed", _("Failed")))
    return [
        Fact(_("Client"), row["client"], mono=True),
        *(Fact(label, formatting.whole(row[key])) for key, label in (*counts, *more)),
        Fact(_("Stored"), formatting.joined_size(row["stored"])),
        Fact(_("First deal"), time_html(row["first_at"])),
        Fact(_("Last deal"), time_html(row["last_at"])),
    ]


NAV: Final = NavItem("clients", _("Clients"), "storage", place=(4, 3))
urlpatterns: Final = [*CLIENTS.urls, path("clients/<str:address>/", client, name="client")]
