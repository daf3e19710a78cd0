"""The way into the pool: what lotus-miner, or another program, hands over, and in what order.

Source: docs/operations.md, “How does a lotus cluster move into the pool?”
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext

from apps.checks.results import Link
from apps.core.formatting import fil, plural, time_left, whole
from apps.moves.readings import MOST
from apps.moves.steps import Step
from apps.proving.states import PostState
from apps.sectors.services.reservations import numbers_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from apps.moves.readings import MoveReadings, SectorFiles
    from apps.proving.services.preconditions import Readiness
    from poolsite.filecoin.bitfield import BitField


def steps_in(read: MoveReadings) -> Iterator[Step]:
    """Yield the steps in their order.  Raises NodeRefused, NodeUnavailable."""
    ready = read.readiness()
    files = read.files(ready)
    yield from _signing(read, ready)
    yield from _sectors(read, ready, files)
    yield from _sealing(read)
    yield from _height(read)
    yield from _blocks(read)


def _signing(read: MoveReadings, ready: Readiness) -> Iterator[Step]:
    miner, keys = read.miner, read.keys_held()
    missing = [address for address, is_held in keys.items() if not is_held]
    needed = {miner.worker, read.sender()}
    yield Step(
        key="keys",
        title=gettext("Keys in the pool's signer"),
        is_done=bool(keys) and not needed & set(missing),
        figure=gettext("{held} of {all} keys are held by a connected signer").format(
            held=len(keys) - len(missing), all=len(keys)
        )
        + (gettext("; not: {addresses}").format(addresses=", ".join(missing)) if missing else ""),
        risk=gettext(
            "Without the worker's key, nothing is proven and no blocks are made. Without the owner's, "
            "nothing can be withdrawn. An exported file contains the key: delete it at once."
        ),
        command="\n".join(
            f"lotus wallet export {address} > KEY && .venv/bin/python -m workers signer import KEY "
            f"&& shred -u KEY"
            for address in missing
        ),
        link=Link("gateway"),
        button=gettext("Signers"),
    )
    policy = read.policy_text()
    yield Step(
        key="policy",
        title=gettext("Signer's policy covers the miner"),
        is_done=not policy,
        figure=policy
        or gettext("no rule for the pool's miners leaves out {miner}").format(miner=miner.address),
        risk=gettext("Otherwise the signer refuses the miner's messages, and its first window is missed."),
        needs=("keys",),
        command=f".venv/bin/python -m workers signer policy --miner {miner.address}" if policy else "",
        link=Link("miner", (miner.address,)),
        button=gettext("The miner's page"),
    )
    lack = ready.lacks.get("balance", "")
    yield Step(
        key="funds",
        title=gettext("Gas for proofs"),
        is_done=not lack,
        figure=lack or gettext("{sender} can pay the next proof").format(sender=read.sender()),
        risk=gettext(
            "A proof that cannot pay for its gas does not land, and the window's sectors become faulty."
        ),
        link=Link("wallets"),
        button=gettext("Wallets"),
    )


def _sectors(read: MoveReadings, ready: Readiness, files: SectorFiles) -> Iterator[Step]:
    miner = read.miner
    yield Step(
        key="provers",
        title=gettext("A prover can read the stores"),
        is_done=bool(ready.provers) and not files.unread,
        figure=_provers_text(ready, files),
        risk=gettext("Windows are missed if no prover can read the files."),
        command=f".venv/bin/python manage.py stores attach /PATH --host HOST  # "
        f"{gettext('each storage folder')}",
        link=Link("stores"),
        button=gettext("Attach a store…"),
    )
    yield Step(
        key="rows",
        title=gettext("Sectors adopted"),
        is_done=files.rows >= miner.live_sectors,
        figure=_rows_text(files, miner.live_sectors),
        risk=gettext(
            "Sectors that are not adopted are still proven, but cannot be checked, moved, extended or "
            "terminated here."
        ),
        command=f".venv/bin/python manage.py sectors adopt {miner.address} --dry-run",
        link=Link("miner-adopt", (miner.address,)),
        button=gettext("Adopt sectors…"),
    )
    yield Step(
        key="files",
        title=gettext("Files found in stores"),
        is_done=(files.rows > 0 and not files.unplaced) or not miner.live_sectors,
        figure=_unplaced_text(files),
        risk=gettext("A sector whose files are not found is left out of its proof and becomes faulty."),
        needs=("provers", "rows"),
        command=f".venv/bin/python manage.py stores find {miner.address}-{files.unplaced.first}"
        if files.unplaced
        else "",
        link=Link("stores"),
        button=gettext("Stores"),
    )
    yield Step(
        key="looks",
        title=gettext("Files opened by a prover"),
        is_done=not files.bad and files.looked >= files.expected,
        figure=_looked_text(files),
        risk=gettext(
            "Each deadline's sectors are checked two windows ahead, whoever proves them, so all are "
            "checked within a proving period. Repair damaged ones while lotus-miner still has its "
            "sealing tools."
        ),
        needs=("files",),
        link=Link("proving"),
        button=gettext("Proving"),
    )


def _unplaced_text(files: SectorFiles) -> str:
    if files.unplaced:
        return gettext("{count} without a store: {numbers}").format(
            count=_at_most(files.unplaced), numbers=numbers_text(files.unplaced)
        )
    return gettext("every sector has a store") if files.rows else gettext("no sector adopted yet")


def _looked_text(files: SectorFiles) -> str:
    looked = gettext("files opened for {looked} of {sectors} that must be proven").format(
        looked=whole(files.looked), sectors=plural(files.expected, "sector")
    )
    if not files.bad:
        return looked
    return looked + gettext("; {count} missing or damaged: {numbers}").format(
        count=_at_most(files.bad), numbers=numbers_text(files.bad)
    )


def _rows_text(files: SectorFiles, live: int) -> str:
    if files.counted_at is None:
        return gettext("counting sectors; done within a minute")
    return gettext("{rows} of {sectors} on the chain adopted, counted {time} UTC").format(
        rows=whole(files.rows), sectors=plural(live, "live sector"), time=f"{files.counted_at:%H:%M:%S}"
    )


def _at_most(numbers: BitField) -> str:
    """Return how many numbers these are, where no more than `MOST` are read."""
    count = len(numbers)
    return whole(count) if count < MOST else gettext("{count} or more").format(count=whole(count))


def _provers_text(ready: Readiness, files: SectorFiles) -> str:
    if not ready.provers:
        return gettext("no prover assigned to it is connected")
    stores = sorted({store for prover in ready.provers for store in prover.stores})
    words = gettext("{provers} with {stores}").format(
        provers=plural(len(ready.provers), "prover"), stores=plural(len(stores), "store")
    )
    if files.unread:
        words += gettext("; none can read {stores}").format(stores=", ".join(files.unread))
    return words


def _sealing(read: MoveReadings) -> Iterator[Step]:
    miner = read.miner
    is_theirs = bool(miner.deposits) and not read.own_precommits()
    yield Step(
        key="sealing",
        title=gettext("No unfinished sealing in lotus-miner"),
        is_done=not is_theirs,
        figure=gettext(
            "{deposits} FIL of deposits are locked on chain for pre-commits that are not the pool's"
        ).format(deposits=fil(int(miner.deposits)))
        if is_theirs
        else gettext("no deposits are locked on chain for another program's pre-commits"),
        risk=gettext(
            "The pool cannot finish sectors that another program started: their deposits are lost 30 "
            "days after the pre-commit. Stop pledging there, and let it finish or abort its sectors "
            "in progress."
        ),
        command="lotus-miner sectors list --states PreCommit1,PreCommit2,WaitSeed,Committing",
    )
    numbers = read.numbers()
    is_ours = (numbers is not None and numbers.exported_at is None) or (numbers is None and not miner.is_held)
    following = 0 if numbers is None else numbers.next_number
    yield Step(
        key="numbers",
        title=gettext("Sector numbers assigned here"),
        is_done=is_ours,
        figure=gettext("the next number is {number}").format(number=whole(following))
        if is_ours
        else gettext("another program assigns them: enter the highest number it has assigned"),
        risk=gettext(
            "If two programs assign the same number, one of the two sectors is lost. Read the "
            "highest number only after lotus-miner has stopped pledging: “Next free” minus one."
        ),
        command="" if is_ours else "lotus-miner sectors numbers info",
    )


def _height(read: MoveReadings) -> Iterator[Step]:
    miner = read.miner
    is_set = not miner.is_held
    if miner.is_held:
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
    before, _ = read.windows_at(miner.works_from)
    yield Step(
        key="stop",
        title=gettext("lotus-miner stopped for good"),
        is_done=read.height >= miner.works_from and (read.is_mining() or _has_landed(read)),
        figure=_stop_text(read, before.deadline if before else None, before.open if before else 0),
        risk=gettext(
            "If two programs make blocks for one miner, it is slashed. Stop lotus-miner after its "
            "last window has landed and before height {height}; disable its unit so that a reboot "
            "does not start it."
        ).format(height=whole(miner.works_from)),
        needs=("height",),
        command="lotus-miner proving deadlines\nlotus-miner stop\nsystemctl disable lotus-miner",
    )


def _stop_text(read: MoveReadings, deadline: int | None, opens: int) -> str:
    if deadline is None:
        return gettext("it has no windows left: stop it now")
    now = next((one for one in read.windows() if one.deadline == deadline and one.open == opens), None)
    if now is None:
        return gettext("its last window, deadline {deadline} at {opens}, has closed: stop it now").format(
            deadline=deadline, opens=whole(opens)
        )
    if now.is_proven is None:
        return gettext("its last window, deadline {deadline}, opens at {opens} in {left}").format(
            deadline=deadline, opens=whole(opens), left=time_left(read.seconds_until(opens))
        )
    if now.is_proven:
        return gettext("its last window, deadline {deadline}, has landed: stop it now").format(
            deadline=deadline
        )
    return gettext(
        "its last window, deadline {deadline}, is open and not proven yet: keep it running"
    ).format(deadline=deadline)


def _has_landed(read: MoveReadings) -> bool:
    """Return whether a proof of the pool's own has landed in the first window that is the pool's."""
    start = read.miner.works_from
    _, after = (None, None) if start is None else read.windows_at(start)
    posts = [] if after is None else read.posts_of(after)
    return any(post.state == PostState.LANDED and post.message_id for post in posts)


def _blocks(read: MoveReadings) -> Iterator[Step]:
    miner, start = read.miner, read.miner.works_from
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
    is_on = read.is_mining()
    is_reached = start is None or read.height >= start
    close = "" if start is None else f"signer heights --miner {miner.address} --close {start - 1} --by NAME"
    yield Step(
        key="blocks",
        title=gettext("The pool makes blocks"),
        is_done=is_on and is_reached and not miner.is_held,
        figure=gettext("yes") if is_on and is_reached else gettext("not yet"),
        risk=gettext(
            "Start only after lotus-miner has stopped. The closed heights are those lotus-miner may "
            "have signed: the signer will not sign them again."
        ),
        needs=("height", "node"),
        command=f".venv/bin/python -m workers {close}" if close else "",
        link=Link("blocks"),
        button=gettext("Start making blocks, warm up…"),
    )
    if start is not None:
        yield _first_window(read, start)


def _first_window(read: MoveReadings, start: int) -> Step:
    _, after = read.windows_at(start)
    opens = "" if after is None else whole(after.open)
    is_landed = _has_landed(read)
    return Step(
        key="window",
        title=gettext("First window proven by the pool"),
        is_done=is_landed or after is None,
        figure=gettext("no window has sectors")
        if after is None
        else gettext("deadline {deadline}, open from {opens}: landed").format(
            deadline=after.deadline, opens=opens
        )
        if is_landed
        else gettext("deadline {deadline}, opens at {opens}").format(deadline=after.deadline, opens=opens),
        risk=gettext(
            "Keep lotus-miner's machine and folders until it has landed: until then you can go back "
            "by cancelling the height or moving out."
        ),
        needs=("height",),
        link=Link("proving"),
        button=gettext("Proving"),
    )
