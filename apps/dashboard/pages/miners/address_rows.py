"""A miner's addresses as they are: who acts for it, where its deals are taken, what is pending."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext as _

from apps.core import formatting
from apps.dashboard.labels import StateLabel
from apps.messages.states import MessageState
from apps.miners.selectors.deal_reach import ReachState, addresses_reach
from apps.miners.states import AddressChange

if TYPE_CHECKING:
    from collections.abc import Iterable

    from apps.miners.selectors.address_messages import AddressMessage
    from apps.miners.selectors.addresses import MinerAddresses
    from apps.users.rules.principals import Principal


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
