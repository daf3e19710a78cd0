"""Steps of the way into the pool: unfinished sealing, and who assigns sector numbers."""

from __future__ import annotations

from collections.abc import Iterator

from apps.core.formatting import fil, whole
from apps.core.marked_texts import gettext
from apps.moves.rules.steps import Step
from apps.moves.selectors.readings import MoveReadings


def sealing_steps(read: MoveReadings) -> Iterator[Step]:
    """Yield the steps about unfinished sealing and sector numbers.  Raises NodeRefused, NodeUnavailable."""
    miner = read.miner
    deposits = read.foreign_deposits()
    yield Step(
        key="sealing",
        title=gettext("No unfinished sealing in lotus-miner"),
        is_done=not deposits,
        figure=gettext(
            "{deposits} FIL of deposits are locked on chain for pre-commits that are not the pool's"
        ).format(deposits=fil(deposits))
        if deposits
        else gettext("no deposits are locked on chain for another program's pre-commits"),
        risk=gettext(
            "The pool cannot finish sectors that another program started: their deposits are lost 30 "
            "days after the pre-commit. Stop pledging there, and let it finish or abort its sectors "
            "in progress."
        ),
        command="lotus-miner sectors list --states PreCommit1,PreCommit2,WaitSeed,Committing",
    )
    numbers = read.numbers()
    is_assigned_here = (numbers is not None and numbers.exported_at is None) or (
        numbers is None and not miner.is_held
    )
    following = 0 if numbers is None else numbers.next_number
    yield Step(
        key="numbers",
        title=gettext("Sector numbers assigned here"),
        is_done=is_assigned_here,
        figure=gettext("the next number is {number}").format(number=whole(following))
        if is_assigned_here
        else gettext("another program assigns them: enter the highest number it has assigned or reserved"),
        risk=gettext(
            "If two programs assign the same number, one of the two sectors is lost. Read the "
            "highest number only after lotus-miner has stopped pledging: the largest in “Allocated” "
            "and “Reserved”. “Next free” is the first gap, often below them."
        ),
        command="" if is_assigned_here else "lotus-miner sectors numbers info",
    )
