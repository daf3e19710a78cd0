"""Steps of the way into the pool: blocks, and the first window that the pool proves."""

from __future__ import annotations

from collections.abc import Iterator

from apps.checks.findings.results import Link
from apps.core.formatting import whole
from apps.core.marked_texts import gettext
from apps.moves.rules.steps import Step
from apps.moves.selectors.move_in.height import own_proof_landed
from apps.moves.selectors.readings import MoveReadings


def blocks_steps(read: MoveReadings) -> Iterator[Step]:
    """Yield the steps by which the pool makes the blocks."""
    miner = read.miner
    start = miner.works_from if miner.works_until is None else None
    has_key = read.node_key()
    yield Step(
        key="node",
        title=gettext("The node signs blocks with the pool's signer"),
        is_done=has_key is not False,
        figure=gettext("the node lacks the worker's key")
        if has_key is False
        else gettext("the node has the worker's key")
        if has_key
        else gettext("the pool signs the blocks of this node"),
        risk=gettext(
            "Otherwise every win is lost with “key not found”. Set the signer as the node's "
            "RemoteBackend; once that works, delete the node's own copy of the key, so that one slash "
            "protection sees every block."
        ),
        needs=("keys",),
        command='.venv/bin/python -m workers signer token sign\n# [Wallet] RemoteBackend = "TOKEN:http://HOST:PORT"'
        if has_key is False
        else "",
    )
    is_making = read.is_mining() and miner.works_until is None and (start is None or read.height >= start)
    close = "" if start is None else f"signer heights --miner {miner.address} --close {start - 1} --by NAME"
    yield Step(
        key="blocks",
        title=gettext("The pool makes blocks"),
        is_done=is_making,
        figure=gettext("yes") if is_making else gettext("not yet"),
        risk=gettext(
            "Start only after lotus-miner has stopped. The closed heights are those lotus-miner may "
            "have signed: the signer will not sign them again."
        ),
        needs=("height", "node"),
        command=f".venv/bin/python -m workers {close}" if close else "",
        link=Link("blocks"),
        button=gettext("Blocks") if is_making else gettext("Start making blocks, warm up…"),
    )
    if start is not None:
        yield _first_window(read, start)


def _first_window(read: MoveReadings, start: int) -> Step:
    _, after = read.windows_at(start)
    opens = "" if after is None else whole(after.open)
    landed = own_proof_landed(read)
    return Step(
        key="window",
        title=gettext("First window proven by the pool"),
        is_done=landed is not None or after is None,
        figure=gettext("deadline {deadline}, open from {opens}: landed").format(
            deadline=landed.deadline_index, opens=whole(landed.open_epoch)
        )
        if landed is not None
        else gettext("no window has sectors")
        if after is None
        else gettext("deadline {deadline}, opens at {opens}").format(deadline=after.deadline, opens=opens),
        risk=gettext(
            "Keep lotus-miner's machine and folders until it has landed: until then you can go back "
            "by cancelling the height or moving out."
        ),
        needs=("height",),
        link=Link("proving"),
        button=gettext("Proving"),
    )
