"""The form of a change of a miner's addresses."""

from __future__ import annotations

from collections.abc import Iterable

from django.utils.translation import gettext as _

from apps.dashboard.forms import PageForm
from apps.dashboard.number_fields import Amount, Integer
from apps.dashboard.text_fields import Choice, Key, TextList
from apps.miners.services.address_change_messages import AddressRequest
from apps.miners.states import AddressChange


class AddressForm(PageForm):
    """A change; the key makes a double click one message."""

    change = Choice(AddressChange.choices)
    addresses = TextList()
    quota = Amount()
    expiration = Integer()
    key = Key()

    def request(self) -> AddressRequest:
        """Return what is asked."""
        return AddressRequest(**self.cleaned_data | {"addresses": tuple(self.cleaned_data["addresses"])})


def picked_changes() -> Iterable[tuple[AddressChange, str, str, str]]:
    """Return the changes to an address that is picked: which, the kind of its picker, label and help."""
    return (
        (
            AddressChange.CONTROL,
            "control",
            _("Add"),
            _("At most ten. Addresses that are not ticked are removed."),
        ),
        (
            AddressChange.WORKER,
            "next-worker",
            _("New worker"),
            _("A BLS key. The owner confirms it once the chain's delay has passed."),
        ),
        (
            AddressChange.OWNER,
            "owner",
            _("New owner"),
            _("It must confirm with its own key. Choose the current owner to withdraw a proposal."),
        ),
        (
            AddressChange.BENEFICIARY,
            "owner",
            _("New beneficiary"),
            _("It and the current one must approve. The owner itself has neither quota nor end."),
        ),
    )
