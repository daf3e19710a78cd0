"""The way back: what lotus-miner needs to go on, and in what order the pool lets go."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from apps.checks.findings.results import Link
from apps.core.formatting import plural, time_left, whole
from apps.core.languages import list_text
from apps.core.marked_texts import gettext
from apps.moves.rules.steps import Step
from apps.moves.selectors.readings import MoveReadings
from apps.proving.states import PostState


def old_program_steps(read: MoveReadings) -> Iterator[Step]:
    """Yield the steps by which lotus-miner goes on."""
    until = read.miner.works_until
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
    is_proven = _proves(read)
    held = [address for address, is_held in read.keys_held().items() if is_held]
    yield Step(
        key="start",
        title=gettext("lotus-miner started"),
        is_done=is_proven,
        figure=gettext("from height {height} on{by}").format(height=whole(until), by=by),
        risk=gettext(
            "Export the records after that height: they hold the pool's last blocks, so that "
            "lotus-miner never makes them twice, the next sector number, and every sector sealed or "
            "upgraded here."
        ),
        needs=("proofs", "blocks"),
        command="\n".join(_start_commands(read, held)),
    )
    yield Step(
        key="window",
        title=gettext("First window proven by lotus-miner"),
        is_done=is_proven,
        figure=_first_text(read),
        risk=gettext(
            "Leave the pool's provers and stores as they are until it has landed: until then you can "
            "go back by moving in again."
        ),
        needs=("start",),
    )
    yield Step(
        key="keys",
        title=gettext("Keys removed from the pool's signer"),
        is_done=not held,
        figure=gettext("a connected signer still holds {addresses}").format(addresses=", ".join(held))
        if held
        else gettext("no connected signer holds any of them"),
        risk=gettext(
            "A pool restored from a backup made before the move would work for the miner again if its "
            "signer still held these keys."
        ),
        needs=("window",),
        command="\n".join(f".venv/bin/python -m workers signer delete {address}" for address in held),
        link=Link("gateway"),
        button=gettext("Signers"),
    )


def _start_commands(read: MoveReadings, held: Sequence[str]) -> list[str]:
    miner, file = read.miner.address, f"{read.miner.address}.lotus"
    return [
        f".venv/bin/python manage.py sector_records lotus {miner} --to {file}",
        "# first remove RemoteBackend from lotus' config.toml and restart the node:",
        *(
            f".venv/bin/python -m workers signer export {address} > KEY && lotus wallet "
            f"import KEY && shred -u KEY"
            for address in held
        ),
        f"lotus-shed --repo ~/.lotusminer datastore import --repo-type StorageMiner "
        f"--really-do-it /metadata {file}",
        "lotus-miner run  # then storage attach: each folder in which the pool stored sectors",
        "lotus-miner sectors list; lotus-miner proving deadlines",
    ]


def _first_text(read: MoveReadings) -> str:
    _, after = read.windows_at(read.miner.works_until or 0)
    if after is None:
        return gettext("no window has sectors")
    what = {"deadline": after.deadline, "opens": whole(after.open)}
    if read.height < after.open:
        text = gettext("deadline {deadline}, opens at {opens}")
    elif read.height >= after.close:
        text = gettext("deadline {deadline} at {opens} has closed, {faulty} of {sectors} faulty")
        what |= {"faulty": whole(read.faulty(after)), "sectors": plural(after.sectors, "sector")}
    elif _proves(read):
        text = gettext("deadline {deadline} at {opens}: landed")
    else:
        text = gettext("deadline {deadline} is open and not proven yet, {left} left")
        what["left"] = time_left(read.seconds_until(after.close))
    return text.format(**what)


def _proves(read: MoveReadings) -> bool:
    """Return whether the chain has the other program's proofs of the first window that is its own."""
    _, after = read.windows_at(read.miner.works_until or 0)
    if after is None:
        return read.height >= (read.miner.works_until or 0)
    now = next((one for one in read.windows() if one.open == after.open), None)
    if now is not None:
        return bool(now.is_proven)
    return read.height >= after.close and not read.faulty(after)


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


def sealing_steps(read: MoveReadings) -> Iterator[Step]:
    """Yield the steps about what the pool still seals."""
    miner = read.miner
    has_target = read.has_target()
    yield Step(
        key="target",
        title=gettext("No automatic pledging"),
        is_done=not has_target,
        figure=gettext("a target is pledging sectors") if has_target else gettext("no target is set"),
        risk=gettext("The pool must finish the sectors it starts: lotus-miner cannot."),
        command=f".venv/bin/poolsite miners target-remove {miner.address}" if has_target else "",
        link=Link("miner-target", (miner.address,)),
        button=gettext("Target"),
    )
    numbers = read.numbers()
    is_exported = miner.is_held if numbers is None else numbers.exported_at is not None
    following = 0 if numbers is None else numbers.next_number
    yield Step(
        key="numbers",
        title=gettext("Sector numbers handed back"),
        is_done=is_exported,
        figure=gettext("the pool assigns no more; lotus-miner continues at {number}").format(
            number=whole(following)
        )
        if is_exported
        else gettext("the pool assigns them; the next is {number}").format(number=whole(following)),
        risk=gettext(
            "If two programs assign the same number, one of the two sectors is lost. New pledges are "
            "refused here."
        ),
        needs=("target",),
    )
    left = {what: count for what, count in read.in_work().items() if count}
    yield Step(
        key="work",
        title=gettext("Nothing in progress"),
        is_done=not left,
        figure=gettext("in progress: {what}").format(
            what=list_text(
                plural(count, what, "recoveries" if what == "recovery" else "")
                for what, count in left.items()
            )
        )
        if left
        else gettext("no sectors, runs, changes or messages in progress"),
        risk=gettext("A sector left half sealed loses its deposit: let it finish, or abort it."),
        needs=("numbers",),
        command=f".venv/bin/poolsite miners show {miner.address}",
        link=Link("sectors", query=f"q={miner.address}"),
        button=gettext("Sectors"),
    )


def steps_out(read: MoveReadings) -> Iterator[Step]:
    """Yield the steps in their order.  Raises NodeRefused, NodeUnavailable."""
    yield from sealing_steps(read)
    yield from height_steps(read)
    yield from old_program_steps(read)
