"""The table of batch sizes, layers on drives: what each needs of a host, and what the host makes of it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.core import formatting
from apps.core.clock import HOUR_S
from apps.core.formatting import NOTHING, joined_size, plural
from apps.core.languages import colon_text, list_text, sentence_text
from apps.core.local_time import moment_text
from poolsite.wire.batch_model import (
    BEST,
    CORES,
    LABELLING,
    LEAST,
    MEMORY,
    READS,
    ROOM,
    SET,
    STARTED,
    TREES,
    UNMEASURED,
    BatchFigures,
    batch_size_of,
    batch_table,
    measured_of,
)
from poolsite.wire.jobs import JobKind

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from apps.sectors.models import Worker
    from poolsite.wire.hardware import BatchSize

BOUND_BY: Final[dict[str, StrOrPromise]] = {
    MEMORY: _("memory"),
    ROOM: _("room on the drives"),
    READS: _("reads"),
    CORES: _("cores"),
    TREES: _("trees"),
}


SIZE_TEXTS: Final[dict[str, StrOrPromise]] = {
    SET: _("Batches have {sectors}, as the host's file says."),
    BEST: _("Batches have {sectors}: smaller ones make fewer a day, larger ones no more, or do not fit."),
    UNMEASURED: _("Batches have {sectors}, the most that memory and slots hold, until drives are measured."),
    LEAST: _("Batches have {sectors}, the fewest: by what was measured it holds no batch."),
    STARTED: _("Batches have {sectors}, as those that are on the drives."),
}
"""Why batches have their size."""
DRIVES_ERRORS: Final[dict[str, StrOrPromise]] = {
    LABELLING: _("a batch is labelled on them: measure once it has ended"),
}
"""Why drives could not be measured, where it was not the program that said so."""


def size_rows(
    figures: Iterable[BatchFigures], *, hosts: int | None = None, used: int = 0
) -> list[dict[str, Any]]:
    """Lay out each size; `hosts` of a plan make the last figure, `used` is the size of a host's batches."""
    return [size_row(size, hosts=hosts) | {"is_used": size.sectors == used} for size in figures]


def size_row(size: BatchFigures, *, hosts: int | None) -> dict[str, Any]:
    """Lay out one size."""
    per_day = size.per_day
    return {
        "name": plural(size.sectors, "sector"),
        "memory": joined_size(size.memory_bytes),
        "drives": joined_size(size.needs_bytes),
        "needed": _rate(size.reads_needed_s),
        "measured": _rate(size.reads_s),
        "layers": _took(size.hours if per_day else None),
        "trees": _took(size.trees_hours if per_day else None),
        "per_day": NOTHING if per_day is None else formatting.tenths(per_day),
        "all": NOTHING if per_day is None or hosts is None else formatting.tenths(per_day * hosts),
        "binds": str(BOUND_BY.get(size.binds, NOTHING)),
        "is_none": per_day == 0,
        "days": NOTHING if per_day == 0 else _days_text(size.days),
    }


def _days_text(days: float | None) -> str:
    """Return how long drives last; their endurance may not be given."""
    return gettext("not known") if days is None else plural(round(days), "day")


def _took(hours: float | None) -> str:
    return formatting.time_left(None if hours is None else hours * HOUR_S)


def _rate(per_second: float | None) -> str:
    return formatting.whole(None if per_second is None else round(per_second))


def host_batches(worker: Worker) -> dict[str, Any]:
    """Return the card of a host that seals by our own program; empty for others."""
    if JobKind.SEAL not in worker.kinds:
        return {}
    hardware = worker.hardware
    size = batch_size_of(hardware)
    note = " ".join(filter(None, (size_text(size), measuring_text(hardware), measured_text(hardware))))
    rows = size_rows(batch_table(hardware), used=size.sectors if size else 0)
    return {"rows": rows, "note": note, "hosts": ""}


def size_text(size: BatchSize | None) -> str:
    """Return how many sectors batches have, and why; empty of a host that labels none on drives."""
    if size is None or size.why not in SIZE_TEXTS:
        return ""
    return str(SIZE_TEXTS[size.why]).format(sectors=plural(size.sectors, "sector"))


def measuring_text(hardware: dict[str, Any]) -> str:
    """Return that the drives are measured, or why they could not be; else nothing."""
    if hardware.get("drives_measuring"):
        return gettext("The drives are being measured.")
    if error := hardware.get("drives_error"):
        why = str(DRIVES_ERRORS.get(error, error))
        return sentence_text(colon_text(gettext("The drives could not be measured"), why))
    return ""


def measured_text(hardware: dict[str, Any]) -> str:
    """Return when and on which drives a host was measured, or how to do it."""
    measured = measured_of(hardware)
    if measured is None:
        return gettext(
            "Not measured: name its drives in [layers] of the host's file and press “Measure disks”,"
            " or run “python -m workers measure-disks --all” with them on this host."
        )
    text = gettext("Measured {when} on {drives}, of which batches can take {room}.")
    return text.format(
        when=moment_text(datetime.fromtimestamp(measured.at, UTC)),
        drives=list_text(measured.drives),
        room=joined_size(measured.room_bytes),
    )
