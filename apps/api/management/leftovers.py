"""Leftovers of `manage.py stores`: of a store's last scan, and of a host's sealing folders."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError

from apps.api.management.caller import COMMAND
from apps.api.management.words import confirm
from apps.core.formatting import plural, size
from apps.sectors.selectors.sealing_context import sealing_context_read
from apps.sectors.selectors.store_scans import findings_waiting
from apps.sectors.services.hosts.leftovers import (
    PlannedLeftover,
    sealing_leftovers_list,
    sealing_leftovers_plan,
    sealing_leftovers_remove,
)
from apps.sectors.services.stores.findings import Planned, findings_select
from apps.sectors.services.stores.leftover_removals import (
    leftovers_plan,
    leftovers_remove,
    removable_leftovers_list,
)

if TYPE_CHECKING:
    from apps.sectors.models import Store, Worker


def host_lines(worker: Worker) -> Iterator[str]:
    """Return a line for each leftover that a host has told of, the largest first."""
    for one in sealing_leftovers_list(worker):
        row = "not in the database" if one.sector is None else f"{one.sector.miner} / {one.sector.number}"
        state = "being removed" if one.is_ordered else f"not removed: {one.error}" if one.error else "found"
        yield f"{one.id}: {_size(one.size)}, {row}, {state}"


def host_leftovers_remove(
    worker: Worker, names: Sequence[str], *, write: Callable[[str], Any], options: dict[str, Any]
) -> None:
    """Remove leftovers from a host's sealing folders after they are listed and confirmed; no names: all."""
    found = {one.id: one.name for one in sealing_leftovers_list(worker)}
    ids = [one for one in found if one in names or found[one] in names] if names else [*found]
    _missing_refuse([name for name in names if name not in (*ids, *(found[one] for one in ids))], worker.name)
    work = sealing_context_read()
    plan = sealing_leftovers_plan(worker, ids=ids, work=work)
    removable = {one.leftover.id: one.leftover.size for one in plan if not one.refusal}
    if _is_sure([_line(one.leftover.id, one.leftover.size, one) for one in plan], removable, write, options):
        sealing_leftovers_remove(
            worker,
            ids=[*removable],
            by=COMMAND,
            work=work,
            reason=options["reason"][:500],
            count=len(removable),
        )
        write(f"ordered: {worker.name} removes {plural(len(removable), 'leftover')} from its sealing folders")


def store_leftovers_remove(
    store: Store, names: Sequence[str], *, write: Callable[[str], Any], options: dict[str, Any]
) -> None:
    """Remove leftovers of a store's last scan after they are listed and confirmed; no names: all."""
    work = sealing_context_read()
    rows = dict(findings_waiting(store).filter(name__in=names).values_list("name", "uuid"))
    _missing_refuse([name for name in names if name not in rows], store.name)
    uuids = [str(uuid) for uuid in rows.values()]
    plan = (
        leftovers_plan(findings_select(store, uuids=uuids), work=work)
        if names
        else removable_leftovers_list(store, work=work)
    )
    removable = {str(one.finding.uuid): one.finding.size for one in plan if not one.refusal}
    if _is_sure([_line(one.finding.name, one.finding.size, one) for one in plan], removable, write, options):
        leftovers_remove(
            store,
            uuids=[*removable],
            by=COMMAND,
            work=work,
            reason=options["reason"][:500],
            count=len(removable),
        )
        write(f"ordered: a host removes {plural(len(removable), 'leftover')} from {store.name}")


def _missing_refuse(names: Sequence[str], place: str) -> None:
    if names:
        raise CommandError(f"{place} has no leftover {', '.join(names)}")


def _line(name: str, count: int, one: Planned | PlannedLeftover) -> str:
    return f"{name}: {f'kept: {one.refusal}' if one.refusal else f'frees {_size(count)}'}"


def _is_sure(
    lines: Sequence[str], removable: dict[str, int], write: Callable[[str], Any], options: dict[str, Any]
) -> bool:
    """Write what goes and what stays; return whether it is to be done.  Raises CommandError."""
    for line in lines:
        write(line)
    write(f"{plural(len(removable), 'leftover')}, {_size(sum(removable.values()))}")
    if options["dry_run"] or not removable:
        return False
    confirm(f"remove {len(removable)}", is_needed=not options["yes"])
    return True


def _size(count: int) -> str:
    return " ".join(size(count))
