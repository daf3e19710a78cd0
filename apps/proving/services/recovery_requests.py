"""Declaring faulty sectors recovered at a person's request, without the pauses between file checks."""

from __future__ import annotations

from collections.abc import Collection

from apps.core.errors import NotAllowed, NotFound
from apps.core.languages import list_text
from apps.core.marked_texts import gettext
from apps.miners.models import Miner
from apps.proving.errors import CannotRecover
from apps.proving.models import Recovery
from apps.proving.rules.proving_context import ProvingContext
from apps.proving.selectors.deadlines import deadline_of
from apps.proving.services.recovery_schedule import recoveries_start, undeclared_faults_find
from apps.users.rules.principals import Principal


def recoveries_request(
    miner: Miner, *, index: int, numbers: Collection[int], by: Principal, context: ProvingContext
) -> list[Recovery]:
    """Start the recovery of these faulty sectors of a deadline, of all if none are named.

    Their files are checked at once, and those that are good are declared.
    Raises NotAllowed, NotFound for a deadline without sectors, CannotRecover, NodeUnavailable, NodeRefused.
    """
    if not by.may("sign"):
        raise NotAllowed(gettext("requires permission to sign for the miner's tenant"))
    deadline = deadline_of(miner, index)
    if deadline is None or not deadline.live:
        raise NotFound(gettext("{miner} has no sectors in deadline {index}").format(miner=miner, index=index))
    if not miner.works_at(deadline.open_epoch):
        raise CannotRecover(gettext("another program proves this deadline's next window"))
    if deadline.cutoff_epoch <= context.head.height + 1:
        raise CannotRecover(
            gettext(
                "the fault cutoff was at epoch {cutoff}: try again once the window closes, at {close}"
            ).format(cutoff=deadline.cutoff_epoch, close=deadline.close_epoch)
        )
    waiting = undeclared_faults_find(deadline)
    if numbers:
        waiting = {part: found & set(numbers) for part, found in waiting.items()}
    absent = set(numbers) - {number for found in waiting.values() for number in found}
    if absent:
        raise CannotRecover(
            gettext("not faulty in deadline {index}, or declared recovered already: {numbers}").format(
                index=index, numbers=list_text(sorted(absent)[:10])
            ),
            field="sectors",
        )
    if not any(waiting.values()):
        raise CannotRecover(
            gettext("deadline {index} has no faulty sectors that are not declared recovered").format(
                index=index
            )
        )
    started = recoveries_start(deadline, waiting=waiting, context=context, by=by)
    if not started:
        raise CannotRecover(
            gettext("these sectors are being recovered already, or the settings allow no more in this window")
        )
    return started
