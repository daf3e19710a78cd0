"""What a miner asks of clients, and whose deals it accepts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_POST

from apps.chain.node.client import page_client
from apps.chain.selectors.heads import head_current
from apps.chain.selectors.network import network_bound
from apps.core import clock
from apps.core.errors import DomainError
from apps.dashboard.forms import PageForm, form_render
from apps.dashboard.notices import notice_leave
from apps.dashboard.number_fields import Amount, Integer, Size
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.miners.discovery_facts import discovery_facts
from apps.dashboard.pages.miners.market_facts import (
    door_facts,
    escrow_facts,
    publishing_refused,
    settling_facts,
)
from apps.dashboard.refusals import refusal_text
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.text_fields import Choice, Text, Tick, new_key
from apps.market.selectors.deals import market_of
from apps.market.services.markets import FIELDS, market_set
from apps.market.services.settling import deals_settle_now
from apps.market.states import ClientsRule
from apps.miners.selectors.miners import miner_get
from apps.pieces.services.retrieval_counts import Retrieved, retrieved_list
from apps.users.rules.principals import Principal
from poolsite.filecoin.amounts import fil_format
from poolsite.filecoin.policy import MAINNET

if TYPE_CHECKING:
    from apps.market.models import MinerMarket

TICKS: Final = (
    *("is_open", "is_verified_only", "takes_http", "takes_put", "takes_offline", "takes_libp2p"),
    *("serves_data", "unseals_data", "accepts_unfiltered"),
)

RETRIEVED_SHOWN: Final = 10
INDEXER: Final = "https://cid.contact/ingest/announce"
"""The public indexer, proposed to miners of the main network."""


class Lines(Text):
    """Words, one a line or between commas."""

    def clean(self, value: Any) -> list[str]:
        """Return them.  Raises ValidationError."""
        return [self.to_python(one) for one in str(value or "").replace(",", " ").split()]

    def prepare_value(self, value: Any) -> Any:
        """Write them, one a line."""
        return "\n".join(value) if isinstance(value, list) else value


class MarketForm(PageForm):
    """A miner's ask and rules."""

    is_open = Tick()
    price = Amount()
    verified_price = Amount()
    least_size = Size()
    most_size = Size()
    is_verified_only = Tick()
    clients_rule = Choice(ClientsRule.choices, initial=ClientsRule.ANYBODY)
    clients = Lines()
    start_wait = Integer()
    start_within = Integer()
    waiting_deals = Integer()
    waiting_bytes = Size()
    client_deals = Integer()
    publish_wait = Integer()
    publish_most = Integer()
    publish_base_fee = Amount(is_fee=True)
    settle_days = Integer()
    settle_day_fee = Amount()
    takes_http = Tick()
    takes_put = Tick()
    takes_offline = Tick()
    takes_libp2p = Tick()
    libp2p_port = Integer()
    serves_data = Tick()
    unseals_data = Tick()
    retrieval_day_bytes = Size()
    indexers = Lines()
    filter_url = Text()
    accepts_unfiltered = Tick()


def _indexer_proposed() -> str:
    """Return an indexer to propose; empty where the network has no public one, or is not known yet."""
    network = network_bound()
    return INDEXER if network is not None and network.name == MAINNET.name else ""


@dataclass(frozen=True, slots=True)
class RetrievedFacts:
    """Network addresses that retrieved a miner's data, most bytes first."""

    rows: tuple[Retrieved, ...] = ()
    away: str = ""
    """Why they are not known."""


def _retrieved(row: MinerMarket) -> RetrievedFacts | None:
    """Return who retrieves the most; None where nothing is served."""
    if not row.serves_data:
        return None
    try:
        found = retrieved_list(str(row.miner), now=clock.now(), most=RETRIEVED_SHOWN)
    except DomainError as refusal:
        return RetrievedFacts(away=refusal_text(refusal))
    return RetrievedFacts(tuple(found))


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
def market(request: HttpRequest, viewer: Principal, address: str) -> HttpResponse:
    """Show it and set it."""
    miner = miner_get(viewer, address)
    if request.method == "POST" and not viewer.may("sign"):
        raise Http404
    row = market_of(miner)
    values = {name: getattr(row, name) for name in FIELDS}
    form = MarketForm.of(request, **values | {name: "1" if values[name] else "" for name in TICKS})
    if request.method == "POST" and form.is_valid():
        with form.refusals():
            market_set(miner, values=form.cleaned_data, by=viewer)
            notice_leave(request, _("Saved."))
            return redirect("miner-market", address)
    data = PageData(viewer)
    return form_render(
        request,
        viewer,
        "miners/market.html",
        form,
        title=_("Market"),
        section="miners",
        data=data,
        door=door_facts(row, viewer, is_reach_asked="reach" in request.GET),
        escrow=escrow_facts(miner, data),
        settling=settling_facts(miner),
        discovery=discovery_facts(row),
        retrieved=_retrieved(row),
        indexer=_indexer_proposed(),
        refusing=publishing_refused(row, viewer),
        key=new_key(),
        miner=miner,
        name=f"{miner.name} {miner.address}".strip(),
        back=reverse("miner", args=[miner.address or miner.uuid]),
        is_open=row.is_open,
        rules=ClientsRule.choices,
        may_change=viewer.may("sign"),
    )


@require_POST
@sign_in_required
def settle(request: HttpRequest, viewer: Principal, address: str) -> HttpResponse:
    """Settle what the miner's deals have earned now, and say what becomes of it."""
    miner = miner_get(viewer, address)
    if not viewer.may("sign"):
        raise Http404
    try:
        rows = deals_settle_now(miner, by=viewer, client=page_client(), head=head_current())
    except DomainError as refusal:
        notice_leave(request, refusal_text(refusal), tone="bad")
        return redirect("miner-market", address)
    owed = fil_format(sum(int(row.owed) for row in rows))
    notice_leave(request, gettext("{amount} will be settled.").format(amount=owed))
    return redirect("miner-market", address)


urlpatterns: Final = [
    path("miners/<str:address>/market/", market, name="miner-market"),
    path("miners/<str:address>/market/settle/", settle, name="miner-market-settle"),
]
