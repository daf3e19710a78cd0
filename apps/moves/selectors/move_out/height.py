"""Steps of the way out of the pool: at which height it stops, and its last window and blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext

from apps.checks.findings.results import Link
from apps.core.formatting import plural, time_left, whole
from apps.moves.rules.steps import Step
from apps.proving.states import PostState

if TYPE_CHECKING:
    from collections.abc import Iterator

    from apps.moves.selectors.readings import MoveReadings


def height_steps(read: MoveReadings) -> Iterator[Step]:
    """Yield the steps by which the pool stops at a height."""
    miner, until = read.miner, read.miner.works_until
    figure = gettext("the pool proves all windows and makes the blocks")
    if until:
        figure = gettext("the pool proves no window that opens at height {height} or later").format(
            height=whole(until)
        )
        if read.epoch < until:
            figure += gettext("; reached in {left}").format(left=time_left(read.seconds_until(until)))
    elif miner.is_held:
        figure = gettext("the pool proves none of its windows")
    yield Step(
        key="height",
        title=gettext("Height at which the pool stops"),
        is_done=until is not None,
        figure=figure,
        risk=gettext(
            "The pool proves windows that open before it, lotus-miner later ones. None is proven "
            "twice or missed, provided lotus-miner is running when its first one opens."
        ),
        needs=("target", "work"),  # it hands the numbers back itself
    )
    if not until:
        return
    before, _ = read.windows_at(until)
    waiting = read.posts_waiting()
    states = {post.state for post in (read.posts_of(before) if before else ())}
    yield Step(
        key="proofs",
        title=gettext("The pool's last window is over"),
        is_done=read.epoch >= until and not waiting,  # a window that was missed stays so
        figure=_proofs_text(read, waiting=waiting, states=states),
        risk=gettext(
            "lotus-miner proves any window it finds unproven: that would be two messages for one "
            "window, one of them wasted."
        ),
        needs=("height",),
        link=Link("proving"),
        button=gettext("Proving"),
    )
    last = read.last_block()
    yield Step(
        key="blocks",
        title=gettext("The pool makes no blocks"),
        is_done=read.epoch >= until,
        figure=gettext("none from height {height} on; the last one was at {last}").format(
            height=whole(until), last=whole(last)
        ),
        risk=gettext(
            "If two programs make blocks for one miner, it is slashed: start lotus-miner only after "
            "this height."
        ),
        needs=("height",),
        link=Link("blocks"),
        button=gettext("Blocks"),
    )


def _proofs_text(read: MoveReadings, *, waiting: int, states: set[str]) -> str:
    until = read.miner.works_until or 0
    before, _ = read.windows_at(until)
    if before is None:
        return gettext("no window has sectors")
    if read.epoch < until:
        return gettext("the last one is deadline {deadline}, open from {opens}").format(
            deadline=before.deadline, opens=whole(before.open)
        )
    if waiting:
        return gettext("{proofs} not landed yet").format(proofs=plural(waiting, "proof"))
    if PostState.MISSED in states:
        return gettext("deadline {deadline} at {opens} was missed").format(
            deadline=before.deadline, opens=whole(before.open)
        )
    return gettext("deadline {deadline} at {opens}: landed").format(
        deadline=before.deadline, opens=whole(before.open)
    )
