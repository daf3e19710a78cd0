"""What senders hold now, and what is on its way from them."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from django.db.models import ExpressionWrapper, F, Sum

from apps.core.fields import AttoFilField
from apps.messages.models import Message, Sender
from apps.messages.states import MessageState, SenderState
from apps.wallets.models import Wallet
from apps.wallets.selectors import balances_of as wallet_balances_of


def balances_of(senders: Sequence[Sender]) -> dict[str, int | None]:
    """Return balances in attoFIL by address: the wallet's, refreshed at each head, else the last selection's.

    A sender that has nothing to choose is not read, whatever it is paid meanwhile.
    """
    addresses = [sender.address for sender in senders]
    held = dict(Wallet.objects.filter(address__in=addresses).values_list("address", "balance"))
    found = {sender.address: held.get(sender.address) for sender in senders}
    return {
        sender.address: sender.balance if found[sender.address] is None else found[sender.address]
        for sender in senders
    }


def balances_free(addresses: Collection[str]) -> dict[str, int | None]:
    """Return what each address can still spend: its balance less the most that messages in flight may cost.

    An address that is no wallet, or was stopped, is left out.  None where no balance was read yet.  What
    waits without a nonce is not counted: there may be any number of it.
    """
    flight = spend_open(addresses, states=[MessageState.FILLED])
    stopped = Sender.objects.filter(address__in=addresses, state=SenderState.FORBIDDEN)
    addresses = set(addresses).difference(stopped.values_list("address", flat=True))
    return {
        address: None if balance is None else balance - flight.get(address, 0)
        for address, balance in wallet_balances_of(addresses).items()
    }


def spend_open(
    addresses: Collection[str], *, states: Sequence[str] = (MessageState.UNFILLED, MessageState.FILLED)
) -> dict[str, int]:
    """Return attoFIL that messages not landed may take by sender: their value, and gas where it is set."""
    most = ExpressionWrapper(F("value") + F("gas_limit") * F("gas_fee_cap"), output_field=AttoFilField())
    rows = Message.objects.filter(from_addr__in=addresses, state__in=states)
    sums = rows.order_by().values_list("from_addr").annotate(total=Sum(most))
    return {address: int(total) for address, total in sums}
