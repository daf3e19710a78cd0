"""Checks of miners: fee debt, a worker key to confirm."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext

from apps.checks.findings.acts import funds_send
from apps.checks.findings.links import miner_link
from apps.checks.findings.results import Finding, Link
from apps.checks.findings.text import grouped, miner_name, named
from apps.core.formatting import fil, whole

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from apps.checks.findings.results import Act
    from apps.checks.selectors.data import CheckData
    from apps.miners.models import Miner


def worker_change_pending(data: CheckData) -> Iterator[Finding]:
    """Workers that were asked for and that nobody has confirmed yet: the old key goes on signing.

    A block's key is that of the lookback: one that is taken away with the confirmation loses wins for hours.
    """
    lookback = 0 if data.network is None else data.network.power_lookback
    for group in grouped([miner for miner in data.miners if miner.new_worker]):
        first = group[0]
        at = first.new_worker_epoch or 0
        is_due = data.head is not None and data.head.height >= at
        yield Finding(
            f"worker-{first.address}",
            gettext("worker key change pending for {group}").format(
                group=named([miner_name(miner) for miner in group])
            ),
            gettext(
                "{new_worker} can be confirmed {when} epoch {at}; until it is, the old key signs "
                "proofs and blocks, and blocks for another {lookback} epochs: leave it in the signer"
            ).format(
                new_worker=first.new_worker,
                when="now, since" if is_due else "from",
                at=at,
                lookback=whole(lookback),
            ),
            link=Link("miner-addresses", (first.address,)) if len(group) == 1 else None,
            count=len(group),
        )


def fee_debts(data: CheckData) -> Iterator[Finding]:
    """Miners that owe the chain fees: they can neither pre-commit nor withdraw."""
    owing = sorted((miner for miner in data.miners if miner.fee_debt), key=lambda miner: -miner.fee_debt)
    for group in grouped(owing):
        debt = sum(int(miner.fee_debt) for miner in group)
        yield Finding(
            f"debt-{group[0].address or group[0].pk}",
            gettext("{group} {word} {debt} FIL in fees").format(
                group=named([miner_name(miner) for miner in group]),
                word="owes" if len(group) == 1 else "owe",
                debt=fil(debt),
            ),
            "a miner in debt cannot pre-commit, recover faults or withdraw: send it funds",
            link=miner_link(group),
            count=len(group),
            at_risk=debt,
            acts=_debt_acts(group),
        )


def _debt_acts(miners: Sequence[Miner]) -> tuple[Act, ...]:
    """Return the transfer that pays the debt of a miner; of several each has its own page."""
    if len(miners) > 1:
        return ()
    [miner] = miners
    name = miner_name(miner)
    return (funds_send(miner.address, name, label="Pay debt of", value=int(miner.fee_debt)),)
