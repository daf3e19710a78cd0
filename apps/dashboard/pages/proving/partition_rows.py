"""A deadline's partitions and their sectors as rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.core import formatting
from apps.core.reasons import shown_text
from apps.dashboard.html_time import time_html
from apps.dashboard.labels import StateLabel

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from apps.proving.models import Deadline, SectorCheck

SECTOR_TEXTS: Final = {
    None: StateLabel("warn", _("not faulty yet")),
    False: StateLabel("bad", _("faulty")),
    True: StateLabel("warn", _("recovering")),
}
"""Of a sector with bad files, by whether it is declared recovered; None: it is not faulty."""


@dataclass(frozen=True, slots=True)
class PartitionRow:
    """One partition of a deadline."""

    index: int
    href: str
    all_sectors: str
    live: str
    active: str
    faulty: str
    recovering: str


def partition_rows(deadline: Deadline, address: str) -> list[PartitionRow]:
    """Lay out the partitions of a deadline."""
    return [
        PartitionRow(
            index=part.index,
            href=reverse("proving-partition", args=[address, deadline.index, part.index]),
            all_sectors=formatting.whole(len(part.all_sectors)),
            live=formatting.whole(len(part.live)),
            active=formatting.whole(len(part.active)),
            faulty=formatting.whole(len(part.faulty)),
            recovering=formatting.whole(len(part.recovering)),
        )
        for part in deadline.partitions.all()
    ]


@dataclass(frozen=True, slots=True)
class SectorRow:
    """One sector of a partition."""

    number: int
    tone: str
    word: StrOrPromise
    files: str
    host: str
    store: str
    path: str
    at: str
    test_href: str


def sector_row(number: int, *, word: StateLabel, checks: list[SectorCheck], address: str) -> SectorRow:
    """Lay out one sector with what was last found of its files."""
    found = next((row for row in checks if not row.is_good), checks[0] if checks else None)
    files = (
        gettext("not checked")
        if found is None
        else gettext("good")
        if found.is_good
        else shown_text(found.reason)
    )
    return SectorRow(
        number=number,
        tone=word.tone,
        word=word.word,
        files=files,
        host=formatting.NOTHING if found is None else found.host or formatting.NOTHING,
        store=formatting.NOTHING if found is None else found.store or formatting.NOTHING,
        path="" if found is None else found.path,
        at=formatting.NOTHING if found is None else time_html(found.checked_at),
        test_href=reverse("proving-test", args=[address, number]),
    )
