"""The way back: what lotus-miner needs to go on, and in what order the pool lets go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext

from apps.checks.results import Link
from apps.core.formatting import plural, time_left, whole
from apps.moves.steps import Step
from apps.proving.states import PostState

if TYPE_CHECKING:
    from collections.abc import Iterator

    from apps.moves.readings import MoveReadings


def steps_out(read: MoveReadings) -> Iterator[Step]:
    """Yield the steps in their order.  Raises NodeRefused, NodeUnavailable."""
    yield from _sealing(read)
    yield from _height(read)
    yield from _old_program(read)


def _sealing(read: MoveReadings) -> Iterator[Step]:
    miner = read.miner
    has_target = read.has_target()
    yield Step(
        key="target",
        title=gettext("Nothing is pledged by itself"),
        is_done=not has_target,
        figure=gettext("a target pledges sectors") if has_target else gettext("there is no target"),
        risk=gettext("What the pool begins it must finish: lotus-miner cannot."),
        command=f".venv/bin/python manage.py miners target {miner.address} end" if has_target else "",
        link=Link("miner-target", (miner.address,)),
        button=gettext("Target"),
    )
    numbers = read.numbers()
    is_given = miner.is_held if numbers is None else numbers.exported_at is not None
    following = 0 if numbers is None else numbers.next_number
    yield Step(
        key="numbers",
        title=gettext("Sector numbers given back"),
        is_done=is_given,
        figure=gettext("the pool gives no more; lotus-miner goes on with {number}").format(
            number=whole(following)
        )
        if is_given
        else gettext("the pool gives them out, the next is {number}").format(number=whole(following)),
        risk=gettext(
            "A number that two programs give out destroys one of two sectors. New pledges are refused here."
        ),
        needs=("target",),
    )
    left = {what: count for what, count in read.in_work().items() if count}
    yield Step(
        key="work",
        title=gettext("Nothing in work"),
        is_done=not left,
        figure=gettext("in work: {what}").format(
            what=", ".join(
                plural(count, what, "recoveries" if what == "recovery" else "")
                for what, count in left.items()
            )
        )
        if left
        else gettext("no sector, run, change or message is on its way"),
        risk=gettext(
            "A half sealed sector stays half sealed, and its deposit is lost: let it end, or abort it."
        ),
        needs=("numbers",),
        command=f".venv/bin/python manage.py sealing info {miner.address}",
        link=Link("sectors", query=f"q={miner.address}"),
        button=gettext("Sectors"),
    )


def _height(read: MoveReadings) -> Iterator[Step]:
    miner, until = read.miner, read.miner.works_until
    figure = gettext("the pool proves every window and makes the blocks")
    if until:
        figure = gettext("the pool proves no window that opens at height {height} or later").format(
            height=whole(until)
        )
        if read.epoch < until:
            figure += gettext("; reached in {left}").format(left=time_left(read.seconds_until(until)))
    elif miner.is_held:
        figure = gettext("the pool proves nothing of it")
    yield Step(
        key="height",
        title=gettext("Height at which the pool stops"),
        is_done=until is not None,
        figure=figure,
        risk=gettext(
            "Windows that open before it are the pool's, later ones lotus-miner's: none is proven "
            "twice, none is "
            "missed, as long as lotus-miner runs when the first of its own opens."
        ),
        needs=("numbers", "work"),
    )
    if not until:
        return
    before, _ = read.windows_at(until)
    waiting = read.posts_waiting()
    states = {post.state for post in (read.posts_of(before) if before else ())}
    is_over = read.epoch >= until and not waiting
    yield Step(
        key="proofs",
        title=gettext("The pool's last window has landed"),
        is_done=is_over and states <= {PostState.LANDED},
        figure=_proofs_text(read, waiting=waiting, states=states),
        risk=gettext(
            "lotus-miner proves what it finds unproven: two messages for one window, one of them for nothing."
        ),
        needs=("height",),
        link=Link("proving"),
        button=gettext("Proving"),
    )
    last = read.last_block()
    yield Step(
        key="blocks",
        title=gettext("The pool makes no block"),
        is_done=read.epoch >= until,
        figure=gettext("none from height {height} on; its last one is at {last}").format(
            height=whole(until), last=whole(last)
        ),
        risk=gettext(
            "Two programs that make blocks for one miner are slashed: lotus-miner starts after this height."
        ),
        needs=("height",),
        link=Link("blocks"),
        button=gettext("Blocks"),
    )


def _proofs_text(read: MoveReadings, *, waiting: int, states: set[str]) -> str:
    until = read.miner.works_until or 0
    before, _ = read.windows_at(until)
    if before is None:
        return gettext("there is no window with sectors")
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


def _old_program(read: MoveReadings) -> Iterator[Step]:
    miner, until = read.miner, read.miner.works_until
    if not until:
        return
    _, after = read.windows_at(until)
    by = (
        ""
        if after is None
        else gettext(", before deadline {deadline} opens at {opens} ({left})").format(
            deadline=after.deadline, opens=whole(after.open), left=time_left(read.seconds_until(after.open))
        )
    )
    file = f"{miner.address}.lotus"
    is_proven = _proves(read)
    yield Step(
        key="start",
        title=gettext("lotus-miner started"),
        is_done=is_proven,
        figure=gettext("from height {height} on{by}").format(height=whole(until), by=by),
        risk=gettext(
            "Take the records after that height: they have the pool's last blocks, which "
            "lotus-miner then never makes "
            "twice, the next sector number, and every sector that was sealed or upgraded here."
        ),
        needs=("proofs", "blocks"),
        command="\n".join(
            [
                f".venv/bin/python manage.py sector_records lotus {miner.address} --to {file}",
                "# without RemoteBackend in lotus' config.toml, after a restart of the node:",
                *(
                    f".venv/bin/python -m workers signer export {address} > KEY && lotus wallet "
                    f"import KEY && shred -u KEY"
                    for address in read.keys_held()
                ),
                f"lotus-shed --repo ~/.lotusminer datastore import --repo-type StorageMiner "
                f"--really-do-it /metadata {file}",
                "lotus-miner run  # storage attach: each folder in which the pool has put sectors",
                "lotus-miner sectors list; lotus-miner proving deadlines",
            ]
        ),
    )
    yield Step(
        key="window",
        title=gettext("First window proven by lotus-miner"),
        is_done=is_proven,
        figure=_first_text(read),
        risk=gettext(
            "Until it has landed the pool's provers and stores stay as they are: the way back is "
            "to move in again."
        ),
        needs=("start",),
    )
    held = [address for address, is_held in read.keys_held().items() if is_held]
    yield Step(
        key="keys",
        title=gettext("Keys taken out of the pool's signer"),
        is_done=not held,
        figure=gettext("a connected signer still holds {addresses}").format(addresses=", ".join(held))
        if held
        else gettext("no connected signer holds one"),
        risk=gettext(
            "A pool that is restored from a backup of before the move works for the miner again "
            "where it has them."
        ),
        needs=("window",),
        command="\n".join(f".venv/bin/python -m workers signer delete {address}" for address in held),
        link=Link("gateway"),
        button=gettext("Signers"),
    )


def _first_text(read: MoveReadings) -> str:
    _, after = read.windows_at(read.miner.works_until or 0)
    if after is None:
        return gettext("there is no window with sectors")
    what = {"deadline": after.deadline, "opens": whole(after.open)}
    if read.height < after.open:
        words = gettext("deadline {deadline}, opens at {opens}")
    elif read.height >= after.close:
        words = gettext("deadline {deadline} at {opens} is over, {faulty} of {sectors} faulty")
        what |= {"faulty": whole(read.faulty(after)), "sectors": plural(after.sectors, "sector")}
    elif _proves(read):
        words = gettext("deadline {deadline} at {opens}: landed")
    else:
        words = gettext("deadline {deadline} is open and not proven, {left} left")
        what["left"] = time_left(read.seconds_until(after.close))
    return words.format(**what)


def _proves(read: MoveReadings) -> bool:
    """Return whether the chain has the other program's proofs of the first window that is its own."""
    _, after = read.windows_at(read.miner.works_until or 0)
    if after is None:
        return read.height >= (read.miner.works_until or 0)
    now = next((one for one in read.windows() if one.open == after.open), None)
    if now is not None:
        return bool(now.is_proven)
    return read.height >= after.close and not read.faulty(after)
