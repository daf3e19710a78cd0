"""A miner's addresses: what they are, and changes with their prices."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
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
from apps.core.languages import list_text
from apps.dashboard.confirm_page import (
    ConfirmPage,
    approval_facts,
    confirm_page_render,
    is_confirm_submitted,
    signer_facts,
)
from apps.dashboard.labels import StateLabel
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.miners.address_form import AddressForm, picked_changes
from apps.dashboard.pages.multisigs.rows import outcome_facts
from apps.dashboard.pickers import Picker, picker, wallet_choice
from apps.dashboard.reauthentication import reauthenticate_first
from apps.dashboard.refusals import refusal_text
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.text_fields import new_key
from apps.messages.services.dry_run import DryRun
from apps.messages.services.signer_trials import run_refusal_find
from apps.messages.states import MessageState
from apps.miners.selectors.address_messages import AddressMessage, address_messages
from apps.miners.selectors.addresses import MinerAddresses, addresses_read
from apps.miners.selectors.deal_reach import ReachState, addresses_reach
from apps.miners.selectors.miners import miner_get
from apps.miners.selectors.proposals import is_id
from apps.miners.services.address_change_messages import AddressRequest
from apps.miners.services.address_changes import ChangePlan, change_plan, change_push, may_change
from apps.miners.services.multisig_senders import PROPOSE_METHOD
from apps.miners.states import AddressChange
from apps.users.rules.principals import SYSTEM, Principal
from poolsite.wire.proposals import address_changes_rule, multisig_rule, rule_text

if TYPE_CHECKING:
    from apps.chain.models import Head
    from apps.miners.models import Miner


@dataclass(frozen=True, slots=True)
class AddressRow:
    """One address with what it may do."""

    role: str
    address: str
    says: str


@dataclass(frozen=True, slots=True)
class PendingRow:
    """A change that waits for its second step."""

    what: str
    says: str
    change: str
    """The step that ends it; empty while it is too early."""
    label: str


@dataclass(frozen=True, slots=True)
class WayRow:
    """A message that would change the addresses."""

    href: str
    """Empty where the message is an operator's, which the viewer does not see."""
    says: str
    state: str


def address_rows(now: MinerAddresses) -> Iterable[AddressRow]:
    """Return who may do what."""
    yield AddressRow(_("Owner"), now.owner, _("changes addresses and withdraws"))
    yield AddressRow(_("Worker"), now.worker, _("signs blocks, sends proofs and commits"))
    for address in now.control:
        yield AddressRow(_("Control"), address, _("sends proofs and commits"))
    term = _("the owner, without limit")
    if now.beneficiary != now.owner:
        left = formatting.fil(now.quota - now.used_quota)
        term = _("{left} of {quota} FIL left until epoch {expiration}").format(
            left=left, quota=formatting.fil(now.quota), expiration=formatting.whole(now.expiration)
        )
    yield AddressRow(_("Beneficiary"), now.beneficiary, term)


@dataclass(frozen=True, slots=True)
class PlaceRow:
    """An announced address of the node that takes deals."""

    address: str
    label: StateLabel | None
    """None: nobody has looked."""
    says: str


def reach_label(state: ReachState) -> StateLabel:
    """Return what came of a look in words."""
    return {
        ReachState.REACHED: StateLabel("ok", _("reached")),
        ReachState.OPEN: StateLabel("ok", _("port open")),
        ReachState.FAILED: StateLabel("bad", _("not reached")),
        ReachState.PRIVATE: StateLabel("bad", _("private")),
        ReachState.NOT_TRIED: StateLabel("idle", _("not tried")),
    }[state]


def place_rows(now: MinerAddresses, *, is_reach_checked: bool) -> list[PlaceRow]:
    """Lay out what the chain announces; with `is_looked` clients' way there is tried."""
    if not is_reach_checked:
        return [PlaceRow(one, None, "") for one in now.multiaddrs]
    return [
        PlaceRow(one.address, reach_label(one.state), one.says) for one in addresses_reach(now.multiaddrs)
    ]


def way_row(one: AddressMessage, viewer: Principal) -> WayRow:
    """Lay out one message that is not on chain yet."""
    row = one.message
    is_seen = viewer.is_operator or row.tenant_id == viewer.own_id
    href = reverse("message", args=[row.pk]) if is_seen else ""
    return WayRow(href, one.says, str(MessageState(row.state).label))


def pending_rows(now: MinerAddresses, *, height: int, lookback: int) -> Iterable[PendingRow]:
    """Yield what waits for its second step; `lookback`: whose worker of so many epochs ago signs blocks."""
    if now.new_worker:
        at, is_due = formatting.whole(now.worker_epoch), height >= now.worker_epoch
        yield PendingRow(
            _("Worker"),
            _(
                "{new_worker} can be confirmed {word} epoch {at}{when}; after that {worker} signs blocks for "
                "another {lookback} epochs: leave its key in the signer"
            ).format(
                worker=now.worker,
                lookback=formatting.whole(lookback),
                new_worker=now.new_worker,
                word=gettext("since") if is_due else gettext("from"),
                at=at,
                when=""
                if is_due
                else _(" on, in {worker_epoch} epochs").format(
                    worker_epoch=formatting.whole(now.worker_epoch - height)
                ),
            ),
            AddressChange.WORKER_CONFIRM if is_due else "",
            _("Confirm worker…"),
        )
    if now.pending_owner:
        says = _("{pending_owner} is proposed and must confirm with its own key").format(
            pending_owner=now.pending_owner
        )
        yield PendingRow(_("Owner"), says, AddressChange.OWNER_CONFIRM, _("Confirm owner…"))
    change = now.pending_beneficiary
    if change is not None:
        missing = [
            name
            for name, has in ((now.beneficiary, change.by_beneficiary), (change.address, change.by_nominee))
            if not has
        ]
        says = _("{change} is proposed; {missing} must approve").format(
            change=change.address, missing=gettext(" and ").join(missing)
        )
        yield PendingRow(_("Beneficiary"), says, AddressChange.BENEFICIARY_CONFIRM, _("Approve…"))


@dataclass(frozen=True, slots=True)
class ControlRow:
    """An address that may be a control address."""

    value: str
    label: str
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class ChangeCard:
    """The form of one change."""

    change: AddressChange
    label: str
    help: str
    value: str
    """The address in it, if this one was refused."""
    picker: Picker | None
    """None: it is no wallet."""
    present: tuple[ControlRow, ...] = ()
    """Control addresses that can be kept."""

    @property
    def is_list(self) -> bool:
        """Return whether it names all addresses at once: those that are kept, and more."""
        return self.change == AddressChange.CONTROL

    @property
    def is_places(self) -> bool:
        """Return whether it is typed, as no wallet is meant."""
        return self.change in (AddressChange.MULTIADDRS, AddressChange.PEER_ID)

    @property
    def takes_others(self) -> bool:
        """Return whether an address fits that no signer of the tenant's has."""
        return self.change in (AddressChange.OWNER, AddressChange.BENEFICIARY)

    @property
    def has_term(self) -> bool:
        """Return whether it has a quota and an end."""
        return self.change == AddressChange.BENEFICIARY


def change_cards(
    form: AddressForm, now: MinerAddresses, miner: Miner, data: PageData
) -> Iterable[ChangeCard]:
    """Return the forms of the changes that a person begins; what was chosen stays in its own."""
    typed = form.typed
    for change, kind, label, text in picked_changes():
        chosen = typed["addresses"].split() if typed["change"] == change else []
        value = next(iter(chosen), "")
        omit = miner.worker if change == AddressChange.WORKER else ""
        if change != AddressChange.CONTROL:
            yield ChangeCard(
                change, label, text, value, picker(data.viewer, kind, value=value, omit=omit, of=miner)
            )
            continue
        offered = picker(data.viewer, kind, of=miner)
        rows = control_rows(now, offered, data, chosen=chosen if typed["change"] == change else now.control)
        shown = {row.value for row in rows}
        yield ChangeCard(
            change, label, text, " ".join(one for one in chosen if one not in shown), offered, rows
        )
    for change, label, text, present in (
        (
            AddressChange.MULTIADDRS,
            _("All multiaddresses"),
            _(
                "Where clients reach the node for deals, such as /ip4/203.0.113.7/tcp/24001; "
                "if empty, none are announced. The worker sends it."
            ),
            "\n".join(now.multiaddrs),
        ),
        (
            AddressChange.PEER_ID,
            _("New peer id"),
            _("The deal node's id; begins with 12D3Koo or Qm. The worker sends it."),
            now.peer_id,
        ),
    ):
        value = "\n".join(typed["addresses"].split()) if typed["change"] == change else present
        yield ChangeCard(change, label, text, value, None)


def control_rows(
    now: MinerAddresses, offered: Picker, data: PageData, *, chosen: Collection[str]
) -> tuple[ControlRow, ...]:
    """Return the present control addresses, and the wallets of a handful that may become some."""
    held = {f"f0{row.actor_id}": row for row in data.wallets if row.actor_id is not None}
    rows = [
        ControlRow(
            one,
            list_text((one, wallet_choice(held[one], viewer=data.viewer)))
            if one in held
            else _("{one}, not a wallet of the pool").format(one=one),
            one in chosen,
        )
        for one in now.control
    ]
    # The chain accepts owner and worker as senders without adding them as control addresses.
    there = {str(held[one].address) for one in (now.owner, now.worker, *now.control) if one in held}
    more = () if offered.is_searched else offered.choices
    rows += [ControlRow(one.value, one.label, one.value in chosen) for one in more if one.value not in there]
    return tuple(rows)


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
    if form.is_bound and not may_change(viewer, miner=miner):
        raise Http404
    if not form.is_valid():
        return page_of(request, viewer, miner, form)
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
        return page_of(request, viewer, miner, form, wrong=refusal_text(refusal))
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
        away = refusal_text(refusal)
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
