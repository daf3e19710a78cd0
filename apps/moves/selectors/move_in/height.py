"""Steps of the way into the pool: from which height it proves, and lotus-miner stopped."""

from __future__ import annotations

from collections.abc import Iterator

from apps.core.formatting import time_left, whole
from apps.core.marked_texts import gettext
from apps.moves.rules.steps import MoveWindow, Step
from apps.moves.selectors.readings import MoveReadings
from apps.proving.models import WindowPost


def height_steps(read: MoveReadings) -> Iterator[Step]:
    """Yield the steps by which the pool proves from a height on, and lotus-miner stops."""
    miner = read.miner
    is_set = miner.works_until is None
    if miner.works_until:
        figure = gettext("the pool proves no window that opens at height {height} or later").format(
            height=whole(miner.works_until)
        )
    elif miner.is_held:
        figure = gettext("another program proves all windows and makes all blocks")
    elif miner.works_from is None:
        figure = gettext("the pool has proven since the import")
    else:
        figure = gettext(
            "the pool proves windows that open at height {height} or later, and makes blocks from there on"
        )
        figure = figure.format(height=whole(miner.works_from))
        if read.height < miner.works_from:
            left = time_left(read.seconds_until(miner.works_from))
            figure += gettext("; reached in {left}").format(left=left)
    yield Step(
        key="height",
        title=gettext("Height from which the pool proves"),
        is_done=is_set,
        figure=figure,
        risk=gettext(
            "lotus-miner proves every window that opens before it, the pool every later one. None is "
            "proven twice or missed, provided lotus-miner runs until its last one has landed."
        ),
        needs=("keys", "policy", "funds", "provers", "files"),
    )
    if not is_set or miner.works_from is None:
        return
    last = _last_window(read, miner.works_from)
    is_proving = last is not None and last.is_proven is False
    block = read.foreign_block()
    yield Step(
        key="stop",
        title=gettext("lotus-miner stopped for good"),
        is_done=read.height >= miner.works_from
        and block is None
        and (own_proof_landed(read) is not None or (read.is_mining() and not is_proving)),
        figure=_stop_text(read, last)
        if block is None
        else gettext("it made the block of epoch {height}: stop it now").format(height=whole(block)),
        risk=gettext(
            "If two programs make blocks for one miner, it is slashed. Stop lotus-miner after its "
            "last window has landed and before height {height}; disable its unit so that a reboot "
            "does not start it."
        ).format(height=whole(miner.works_from)),
        needs=("height",),
        command="lotus-miner proving deadlines\nlotus-miner stop\nsystemctl disable lotus-miner",
    )


def _last_window(read: MoveReadings, height: int) -> MoveWindow | None:
    """Return lotus-miner's last window, while it is open with whether it is proven; None: it has none."""
    before, _ = read.windows_at(height)
    if before is None:
        return None
    same = (one for one in read.windows() if (one.deadline, one.open) == (before.deadline, before.open))
    return next(same, before)


def _stop_text(read: MoveReadings, last: MoveWindow | None) -> str:
    if last is None:
        return gettext("it has no windows left: stop it now")
    if last.open > read.height:
        text = gettext("its last window, deadline {deadline}, opens at {opens} in {left}")
    elif last.is_proven is None:
        text = gettext("its last window, deadline {deadline} at {opens}, has closed: stop it now")
    elif last.is_proven:
        text = gettext("its last window, deadline {deadline}, has landed: stop it now")
    else:
        text = gettext("its last window, deadline {deadline}, is open and not proven yet: keep it running")
    left = time_left(read.seconds_until(last.open))
    return text.format(deadline=last.deadline, opens=whole(last.open), left=left)


def own_proof_landed(read: MoveReadings) -> WindowPost | None:
    """Return the first proof of the pool's own that landed in a window that is the pool's, if any did.

    A miner that had no sectors at its height is proven later than in the first of those windows.
    """
    start = read.miner.works_from
    return None if start is None else read.own_proof_landed(start)
