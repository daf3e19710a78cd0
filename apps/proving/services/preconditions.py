"""What must hold for a window's proof to land, checked before: host, store, signer, money, head."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext

from apps.chain.selectors.status import chain_status_of
from apps.core.formatting import fil
from apps.gateway.selectors.connections import keys_served
from apps.messages.models import Message, Sender
from apps.messages.states import SenderState
from apps.miners.selectors.senders import sender_choose
from apps.miners.states import Use
from apps.proving.services.offers import provers_in_charge_list
from apps.wallets.models import Wallet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from apps.miners.models import Miner
    from apps.proving.models import Deadline
    from apps.proving.rules.proving_context import ProvingContext
    from apps.sectors.models import Worker

GAS_FIRST: Final = 30_000_000
"""Taken for the first proof of a miner: on real chains one of a partition used 20 to 24 million."""


@dataclass(frozen=True, slots=True)
class Readiness:
    """What a miner has for its next proofs."""

    provers: Sequence[Worker]
    """In charge of its WindowPoSt, with a recent heartbeat and a form of proof that the network accepts."""
    unmet: dict[str, str]
    """By the precondition's name, why it does not hold."""


def readiness_check(miner: Miner, *, context: ProvingContext) -> Readiness:
    """Check what is the same for all deadlines of a miner."""
    provers = provers_in_charge_list(miner, context=context)
    unmet = {}
    if not provers:
        unmet["host"] = gettext("no prover assigned to it whose proofs the network accepts is connected")
    sender = sender_choose(miner, Use.POST).address
    if not keys_served(miner.tenant.name, [sender]):
        unmet["signer"] = gettext("no signer holds {sender}").format(sender=sender)
    need, balance = _gas_needed(miner, context=context), _balance(sender)
    if balance is not None and balance < need:
        unmet["balance"] = gettext("{sender} has {balance} FIL; the next proof may cost {need} FIL").format(
            sender=sender, balance=fil(balance), need=fil(need)
        )
    status = chain_status_of(context.head, network=context.network, at=context.now)
    if status is not None and status.tone != "ok":
        unmet["head"] = gettext("{word} for {old_s:.0f} s").format(word=status.word, old_s=status.old_s)
    row = Sender.objects.filter(address=sender).first()
    if row is not None and row.state == SenderState.FORBIDDEN:
        unmet["sender"] = gettext("{sender} is stopped").format(sender=sender)
    if row is not None and row.gap_nonce is not None:
        unmet["nonce"] = gettext("{sender} has a nonce gap at {gap}: later messages are blocked").format(
            sender=sender, gap=row.gap_nonce
        )
    return Readiness(provers, unmet)


def _gas_needed(miner: Miner, *, context: ProvingContext) -> int:
    """Return what the next proof may cost: the last one's gas at twice the base fee."""
    last = Message.objects.filter(to=miner.address, kind="window_post", gas_limit__gt=0).order_by(
        "-created_at"
    )
    found = last.values_list("gas_limit", "gas_fee_cap").first()
    gas, fee_cap = (GAS_FIRST, 0) if found is None else map(int, found)
    return gas * max(fee_cap, 2 * int(context.head.base_fee))


def _balance(address: str) -> int | None:
    found = Wallet.objects.filter(address=address).values_list("balance", flat=True).first()
    return None if found is None else int(found)


def unmet_preconditions_find(deadline: Deadline, *, readiness: Readiness) -> dict[str, str]:
    """Return what a deadline lacks: what its miner lacks, and stores that no host in charge has.

    One host makes a proof of all its sectors: two that have a part of the stores each can make none of it.
    """
    lacking = [set(deadline.stores) - set(prover.stores) for prover in readiness.provers]
    if not lacking or not all(lacking):
        return dict(readiness.unmet)
    if missing := set.intersection(*lacking):
        text = gettext("no prover assigned to it has the store {missing}").format(
            missing=", ".join(sorted(missing))
        )
    else:
        text = gettext("no prover assigned to it has all of its stores: {stores}").format(
            stores=", ".join(sorted(deadline.stores))
        )
    return readiness.unmet | {"store": text}
