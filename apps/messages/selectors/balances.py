"""What senders hold now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apps.wallets.models import Wallet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from apps.messages.models import Sender


def balances_of(senders: Sequence[Sender]) -> dict[str, int | None]:
    """Return balances in attoFIL by address: the wallet's, refreshed at each head, else the last selection's.

    A sender that has nothing to choose is not looked at, whatever it is paid meanwhile.
    """
    addresses = [sender.address for sender in senders]
    held = dict(Wallet.objects.filter(address__in=addresses).values_list("address", "balance"))
    found = {sender.address: held.get(sender.address) for sender in senders}
    return {
        sender.address: sender.balance if found[sender.address] is None else found[sender.address]
        for sender in senders
    }
