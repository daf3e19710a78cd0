"""The choice of the address that sends a miner's messages."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from django.db.models import prefetch_related_objects

from apps.core.marked_texts import gettext
from apps.messages.selectors.balances import balances_free
from apps.miners.models import Miner
from apps.miners.states import Use
from apps.wallets.selectors import senders_granted
from poolsite.filecoin.address import DELEGATED, address_parse

GOOD_FUNDS: Final = 10**17
"""attoFIL (0.1 FIL) above what a message carries; a sender with less is used only if none has that much.

Hundreds of proofs cost less.
"""


@dataclass(frozen=True, slots=True)
class Sending:
    """The address that sends for a use, and the reason shown for it."""

    address: str
    reason: str


@dataclass(frozen=True, slots=True)
class UseSenders:
    """Who sends a miner's messages of one use."""

    use: Use
    named: list[str]
    """Chosen for it, in order; empty: the worker, then the owner, and for proofs spare control addresses."""
    now: Sending
    """Who would send one now."""


def senders_of(miner: Miner) -> list[UseSenders]:
    """Return who sends for each use."""
    named = senders_named(miner)
    return [UseSenders(use, named[use], sender_choose(miner, use)) for use in Use]


def senders_named(miner: Miner) -> dict[Use, list[str]]:
    """Return the addresses chosen for each use, in order."""
    rows = list(miner.uses.all())
    return {use: [row.address for row in rows if row.use == use] for use in Use}


def miner_senders(miner: Miner, use: Use) -> list[str]:
    """Return the addresses that are tried as the sender for a use, in order."""
    lawful = [miner.worker, miner.owner, *miner.control]
    uses = list(miner.uses.all())
    wanted = [row.address for row in uses if row.use == use and row.address in lawful]
    if use == Use.POST:
        named = {row.address for row in uses}
        wanted += [address for address in miner.control if address not in named]
    return list(dict.fromkeys([*wanted, miner.worker, miner.owner]))


def sender_choose(
    miner: Miner,
    use: Use,
    *,
    needed: int = 0,
    balances: Mapping[str, int | None] | None = None,
    granted: Collection[tuple[int, str]] | None = None,
) -> Sending:
    """Return the address that sends for a use: the first of `senders_able`.

    Who asks for many miners reads the balances and grants of all their addresses before.
    """
    order = miner_senders(miner, use)
    if balances is None:
        balances = balances_free(order)
    able = senders_able(miner, use, needed=needed, balances=balances, granted=granted)
    if not able:
        return Sending(miner.worker, gettext("no signer holds an address of the miner that may send"))
    if _is_funded(balances[able[0]], needed):
        return Sending(able[0], gettext("first funded address for {use}").format(use=use.label.lower()))
    return Sending(able[0], gettext("no address is well funded; this one has the highest balance"))


def senders_chosen(
    miners: Collection[Miner], *, uses: Collection[Use] = tuple(Use)
) -> dict[Miner, dict[Use, str]]:
    """Return who sends for each use of these miners; what it depends on is read once for all."""
    prefetch_related_objects(list(miners), "uses")
    addresses = {address for one in miners for address in (one.worker, one.owner, *one.control)}
    balances = balances_free(addresses)
    granted = senders_granted([one.tenant_id for one in miners], addresses)
    return {
        one: {use: sender_choose(one, use, balances=balances, granted=granted).address for use in uses}
        for one in miners
    }


def senders_able(
    miner: Miner,
    use: Use,
    *,
    needed: int = 0,
    balances: Mapping[str, int | None] | None = None,
    granted: Collection[tuple[int, str]] | None = None,
) -> list[str]:
    """Return the addresses that can send for a use: those with good funds in their order, then the richest.

    Good funds are GOOD_FUNDS above `needed`, the attoFIL that the message carries, beside all that is in
    flight from the address.
    Tried are the addresses set for this use, then for proofs the control addresses that no use has, then
    the worker, then the owner; of these only those that may send for the miner, that a signer holds and that
    nobody has stopped.  Ethereum keys sign no method of a miner.
    Source: lotus storage/ctladdr/addresses.go AddressFor, PickAddress (which tries spare control addresses
    in random order); damocles-manager/modules/address/sender_selector.go, which takes the richest.
    """
    order = [one for one in miner_senders(miner, use) if address_parse(one).protocol != DELEGATED]
    known = balances_free(order) if balances is None else balances
    if granted is None:
        granted = senders_granted([miner.tenant_id], order)
    held = [address for address in order if address in known and (miner.tenant_id, address) in granted]
    funded = [address for address in held if _is_funded(known[address], needed)]
    poor = [address for address in held if address not in funded]
    return [*funded, *sorted(poor, key=lambda address: -(known[address] or 0))]


def _is_funded(balance: int | None, needed: int) -> bool:
    return (balance or 0) >= needed + GOOD_FUNDS
