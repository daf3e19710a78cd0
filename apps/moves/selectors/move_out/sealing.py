"""Steps of the way out of the pool: pledging and sealing come to their end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext

from apps.checks.findings.results import Link
from apps.core.formatting import plural, whole
from apps.moves.rules.steps import Step

if TYPE_CHECKING:
    from collections.abc import Iterator

    from apps.moves.selectors.readings import MoveReadings


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
        command=f".venv/bin/python manage.py miners target {miner.address} end" if has_target else "",
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
            what=", ".join(
                plural(count, what, "recoveries" if what == "recovery" else "")
                for what, count in left.items()
            )
        )
        if left
        else gettext("no sectors, runs, changes or messages in progress"),
        risk=gettext("A sector left half sealed loses its deposit: let it finish, or abort it."),
        needs=("numbers",),
        command=f".venv/bin/python manage.py sealing info {miner.address}",
        link=Link("sectors", query=f"q={miner.address}"),
        button=gettext("Sectors"),
    )
