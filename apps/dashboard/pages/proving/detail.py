"""One deadline, and one of its partitions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.http import Http404
from django.urls import path, reverse
from django.utils.translation import gettext
from django.views.decorators.http import require_safe

from apps.core.errors import NotFound
from apps.core.stored_texts import stored_text
from apps.dashboard.labels import StateLabel
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.miners.deadlines import FORECASTS
from apps.dashboard.pages.proving.check_rows import check_rows
from apps.dashboard.pages.proving.deadline_facts import (
    deadline_facts,
    post_facts,
    precondition_facts,
    recovery_facts,
)
from apps.dashboard.pages.proving.partition_rows import partition_rows, sector_row
from apps.dashboard.sessions import sign_in_required
from apps.miners.selectors.miners import miner_get
from apps.proving.selectors.checks import checks_latest, sector_checks
from apps.proving.selectors.deadlines import deadline_of
from apps.proving.selectors.posts import posts_of_deadline
from apps.proving.selectors.recoveries import recoveries_latest
from apps.proving.services.compaction import compactable_partitions_list

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

    from apps.miners.models import Miner
    from apps.proving.models import Deadline
    from apps.users.rules.principals import Principal

CHECKS_SHOWN: Final = 20
SECTORS_SHOWN: Final = 200
"""Sectors of a partition on one page."""


def _found(viewer: Principal, address: str, index: int) -> tuple[Miner, Deadline]:
    try:
        miner = miner_get(viewer, address)
    except NotFound:
        raise Http404 from None
    row = deadline_of(miner, index)
    if row is None:
        raise Http404
    return miner, row


@require_safe
@sign_in_required
def deadline(request: HttpRequest, viewer: Principal, address: str, index: int) -> HttpResponse:
    """Show one deadline: forecast, partitions, past windows, looks."""
    return deadline_render(request, viewer, address, index)


def deadline_render(
    request: HttpRequest, viewer: Principal, address: str, index: int, *, problem: str = ""
) -> HttpResponse:
    """Render the page of a deadline; `problem` is why what was asked for there was not begun."""
    miner, row = _found(viewer, address, index)
    data = PageData(viewer)
    return page_render(
        request,
        "proving/deadline.html",
        title=gettext("{miner} · deadline {index}").format(miner=miner.name or miner.address, index=index),
        section="proving",
        page_key="",
        data=data,
        status=409 if problem else 200,
        miner=miner.name or miner.address,
        address=miner.address,
        index=index,
        forecast=FORECASTS[row.forecast],
        reason=stored_text(row.reason),
        facts=deadline_facts(row, data),
        preconditions=precondition_facts(row),
        partitions=partition_rows(row, miner.address),
        windows=[post_facts(post, viewer) for post in posts_of_deadline(miner, index)],
        checks=check_rows(checks_latest([miner], index=index)[:CHECKS_SHOWN], data),
        recoveries=recovery_facts(recoveries_latest(miner, index=index)),
        acts=_acts(row, viewer, miner.address),
        problem=problem,
    )


def _acts(row: Deadline, viewer: Principal, address: str) -> list[tuple[str, str, str]]:
    """Return label, address and kind of the buttons that this viewer may use on a deadline now."""
    may_sign = viewer.may("sign")
    acts = [
        (may_sign and compactable_partitions_list(row), gettext("Compact…"), "proving-compact", ""),
        (may_sign and row.faulty > row.recovering, gettext("Declare recovered now"), "proving-recover", ""),
        (viewer.may("write") and row.live > 0, gettext("Dry run"), "proving-dry-run", "primary"),
    ]
    return [
        (label, reverse(name, args=[address, row.index]), kind)
        for is_there, label, name, kind in acts
        if is_there
    ]


@require_safe
@sign_in_required
def partition(request: HttpRequest, viewer: Principal, address: str, index: int, part: int) -> HttpResponse:
    """Show the sectors of one partition with what was last found of their files."""
    miner, row = _found(viewer, address, index)
    found = next((one for one in row.partitions.all() if one.index == part), None)
    if found is None:
        raise Http404
    faulty, recovering, active = set(found.faulty), set(found.recovering), set(found.active)
    ill = sorted(faulty)
    numbers = [*ill, *(number for number in found.live if number not in faulty)]
    shown = numbers[:SECTORS_SHOWN]
    checks = sector_checks(miner, shown)

    def word(number: int) -> StateLabel:
        if number in recovering:
            return StateLabel("warn", gettext("recovering"))
        if number in faulty:
            return StateLabel("bad", gettext("faulty"))
        return (
            StateLabel("ok", gettext("active"))
            if number in active
            else StateLabel("idle", gettext("not proved yet"))
        )

    return page_render(
        request,
        "proving/partition.html",
        title=gettext("{miner} · deadline {index} · partition {part}").format(
            miner=miner.name or miner.address, index=index, part=part
        ),
        section="proving",
        page_key="",
        data=PageData(viewer),
        miner=miner.name or miner.address,
        address=miner.address,
        index=index,
        part=part,
        rows=[
            sector_row(number, word=word(number), checks=checks.get(number, []), address=miner.address)
            for number in shown
        ],
        more=len(numbers) - len(shown),
        may_run=viewer.may("write"),
    )


urlpatterns: Final = [
    path("proving/<str:address>/<int:index>/", deadline, name="proving-deadline"),
    path("proving/<str:address>/<int:index>/<int:part>/", partition, name="proving-partition"),
]
