"""A miner's addresses: what they are, and changes with their prices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.translation import gettext
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from apps.chain.errors import NetworkUnknown
from apps.chain.node.client import chain_client, page_client
from apps.chain.selectors.network import network_current
from apps.core import formatting
from apps.core.errors import DomainError
from apps.dashboard.confirm_page import (
    ConfirmPage,
    approval_facts,
    confirm_page_render,
    is_confirm_submitted,
    signer_facts,
)
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.miners.address_cards import ChangeCard, change_cards
from apps.dashboard.pages.miners.address_form import AddressForm
from apps.dashboard.pages.miners.address_rows import address_rows, pending_rows, place_rows, way_row
from apps.dashboard.pages.multisigs.rows import outcome_facts
from apps.dashboard.reauthentication import reauthenticate_first
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.text_fields import new_key
from apps.messages.services.signer_trials import run_refusal_find
from apps.miners.selectors.address_messages import address_messages
from apps.miners.selectors.addresses import addresses_read
from apps.miners.selectors.miners import miner_get
from apps.miners.selectors.proposals import is_id
from apps.miners.services.address_changes import change_plan, change_push, may_change
from apps.miners.services.multisig_senders import PROPOSE_METHOD
from apps.miners.states import AddressChange
from apps.users.rules.principals import SYSTEM
from poolsite.wire.proposals import address_changes_rule, multisig_rule, rule_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from apps.chain.models import Head
    from apps.dashboard.pages.miners.address_rows import AddressRow, PendingRow, PlaceRow, WayRow
    from apps.messages.services.dry_run import DryRun
    from apps.miners.models import Miner
    from apps.miners.services.address_change_messages import AddressRequest
    from apps.miners.services.address_changes import ChangePlan
    from apps.users.rules.principals import Principal


def plan_facts(plan: ChangePlan) -> tuple[tuple[str, str], ...]:
    """Return what a change does and costs."""
    return (
        (_("Currently on chain"), plan.was),
        (_("Change"), plan.says),
        *outcome_facts(plan.proposal),
        (_("Sent by"), str(plan.item.from_)),
        *price_facts(plan.run),
        *signer_facts(run_refusal_find(plan.run, by=SYSTEM, method=PROPOSE_METHOD if plan.proposal else "")),
    )


def price_facts(run: DryRun) -> Iterable[tuple[str, str]]:
    """Yield the price, and what the sender would have left."""
    yield _("Expected cost"), f"{formatting.fil(run.cost_expected)} FIL"
    yield _("At most"), f"{formatting.fil(run.cost_max)} FIL"
    yield (
        _("Sender's balance after this and all messages in progress"),
        f"{formatting.fil(run.balance_after)} FIL",
    )
    yield from approval_facts(run.approval)


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
def addresses(request: HttpRequest, viewer: Principal, address: str) -> HttpResponse:
    """Show the addresses; a form asks with the price first, and is sent after the second click."""
    miner, data = miner_get(viewer, address), PageData(viewer)
    form = AddressForm.of(request)
    if request.method != "POST" or not form.is_valid():
        return page_of(request, viewer, miner, form)
    if not may_change(viewer, miner=miner):
        raise Http404
    if is_confirm_submitted(request) and (held := reauthenticate_first(request, viewer)) is not None:
        return held
    try:
        change_request, head = form.request(), head_required(data)
        if is_confirm_submitted(request):
            sent = change_push(
                miner, request=change_request, principal=viewer, client=chain_client(), head=head
            )
            return redirect("message", sent.message.pk)
        plan = change_plan(miner, request=change_request, principal=viewer, client=chain_client(), head=head)
        plan.run_check()
    except DomainError as refusal:
        return page_of(request, viewer, miner, form, wrong=refusal.reason)
    return confirm_page_render(request, viewer, confirm_of(miner, change_request, plan, form))


def head_required(data: PageData) -> Head:
    """Return the newest head.  Raises NetworkUnknown."""
    if data.head is None:
        raise NetworkUnknown(gettext("no node has answered yet"))
    return data.head


def confirm_of(
    miner: Miner, change_request: AddressRequest, plan: ChangePlan, form: AddressForm
) -> ConfirmPage:
    """Return the question, with the price."""
    hidden: dict[str, Any] = {name: form.typed[name] for name in ("addresses", "quota", "expiration")}
    return ConfirmPage(
        title=str(AddressChange(change_request.change).label),
        text=_("This sends one message. The change is on chain once it has landed."),
        label=_("Send message"),
        back=reverse("miner-addresses", args=[miner.address]),
        page=_("Addresses"),
        section="miners",
        hidden_fields=(("change", change_request.change), ("key", change_request.key), *hidden.items()),
        facts=plan_facts(plan),
    )


def page_of(
    request: HttpRequest, viewer: Principal, miner: Miner, form: AddressForm, *, wrong: str = ""
) -> HttpResponse:
    """Render the page; without a node it says so."""
    data, away = PageData(viewer), ""
    rows: list[AddressRow] = []
    pending: list[PendingRow] = []
    on_the_way: list[WayRow] = []
    cards: list[ChangeCard] = []
    places: list[PlaceRow] = []
    peer_id, may_check = "", viewer.may("write")
    can_change = may_change(viewer, miner=miner)
    try:
        now = addresses_read(miner, client=page_client())
        rows, peer_id = list(address_rows(now)), now.peer_id
        places = place_rows(now, is_reach_checked=may_check and "reach" in request.GET)
        height, lookback = head_required(data).height, network_current().power_lookback
        pending = list(pending_rows(now, height=height, lookback=lookback))
        on_the_way = [way_row(one, viewer) for one in address_messages(miner)]
        cards = list(change_cards(form, now, miner, data)) if can_change else []
    except DomainError as refusal:
        away = refusal.reason
    return page_render(
        request,
        "miners/addresses.html",
        title=_("Addresses"),
        section="miners",
        data=data,
        status=422 if wrong or form.errors else 200,
        miner=miner,
        name=f"{miner.name} {miner.address}".strip(),
        back=reverse("miner", args=[miner.address or miner.uuid]),
        rows=rows,
        pending=pending,
        on_the_way=on_the_way,
        places=places,
        peer_id=peer_id,
        may_check=may_check and bool(places),
        changes=cards,
        away=away,
        wrong=wrong or form.why,
        form=form,
        key=new_key(),
        rule=rule_text(
            multisig_rule(str(miner.owner), value_max="0 FIL")
            if is_id(str(miner.owner))
            else address_changes_rule(miner.address)
        ),
        may_change=can_change and not away,
    )


urlpatterns: Final = [
    path("miners/<str:address>/addresses/", addresses, name="miner-addresses"),
]
