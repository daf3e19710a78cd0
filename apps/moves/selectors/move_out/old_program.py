"""Steps of the way out of the pool: lotus-miner starts, proves, and has the keys alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext

from apps.checks.findings.results import Link
from apps.core.formatting import plural, time_left, whole
from apps.moves.rules.steps import Step

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from apps.moves.selectors.readings import MoveReadings


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
