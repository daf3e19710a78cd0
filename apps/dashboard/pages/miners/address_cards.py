"""The changes of a miner's addresses as cards, and its control addresses as rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils.translation import gettext as _

from apps.core.languages import list_text
from apps.dashboard.pages.miners.address_form import AddressForm, picked_changes
from apps.dashboard.pickers import picker, wallet_choice
from apps.miners.states import AddressChange

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from apps.dashboard.page_data import PageData
    from apps.dashboard.pickers import Picker
    from apps.miners.models import Miner
    from apps.miners.selectors.addresses import MinerAddresses


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
