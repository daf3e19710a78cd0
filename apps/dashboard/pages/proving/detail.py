"""One deadline, and one of its partitions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import path, reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from apps.core import clock, formatting
from apps.core.errors import NotFound
from apps.core.formatting import plural
from apps.core.languages import clauses_text, colon_text, list_text
from apps.core.reasons import shown_text
from apps.dashboard.cards import Fact
from apps.dashboard.labels import StateLabel
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.miners.deadlines import FORECASTS
from apps.dashboard.pages.miners.proofs import POST_STATES
from apps.dashboard.pages.proving.check_rows import check_rows
from apps.dashboard.pages.proving.partition_rows import partition_rows, sector_row
from apps.dashboard.pages.proving.rows import risk_text
from apps.dashboard.sessions import sign_in_required
from apps.miners.selectors.miners import miner_get
from apps.proving.selectors.checks import checks_latest, sector_checks
from apps.proving.selectors.deadlines import deadline_of
from apps.proving.selectors.posts import posts_of_deadline
from apps.proving.selectors.recoveries import recoveries_latest
from apps.proving.selectors.sector_places import SectorPlace, sector_places
from apps.proving.services.compaction import compactable_partitions_list
from apps.sectors.selectors.sectors import sectors_numbered
from apps.users.rules.principals import Principal

if TYPE_CHECKING:
    from apps.miners.models import Miner
    from apps.proving.models import Deadline, Recovery, WindowPost
    from apps.sectors.models import Sector

NAMED_MAX: Final = 3
"""Sectors of a proof that are named: each costs a few questions."""


def left_out_text(post: WindowPost, viewer: Principal) -> str:
    """Return what a proof left out and where its files should be; empty where it left out nothing."""
    numbers = sorted(number for part in post.skipped.values() for number in part)
    if not numbers:
        return ""
    known = sectors_numbered(post.miner_id, numbers[:NAMED_MAX])
    named = [_named(number, known.get(number), viewer) for number in numbers[:NAMED_MAX]]
    if len(numbers) > NAMED_MAX:
        named.append(gettext("and {count} more").format(count=len(numbers) - NAMED_MAX))
    return gettext("{sectors} skipped: {named}").format(
        sectors=plural(len(numbers), "sector"), named=clauses_text(named)
    )


def _named(number: int, sector: Sector | None, viewer: Principal) -> str:
    """Return a sector with host, path and what is wrong there."""
    places = [] if sector is None else sector_places(sector, viewer=viewer, now=clock.now())
    stored = [place for place in places if place.store]
    if not stored:
        return gettext("{number}, in no known store").format(number=number)
    return f"{number} " + list_text(_where(place) for place in stored)


def _where(place: SectorPlace) -> str:
    where = (
        gettext("on {host}, {path}").format(host=place.host, path=place.path)
        if place.host
        else gettext("in store {store}, attached to no host").format(store=place.store)
    )
    return f"{where} ({shown_text(place.reason)})" if place.reason else where


PRECONDITIONS: Final = {
    "host": _("Prover connected"),
    "store": _("Stores reachable"),
    "signer": _("Signer connected"),
    "policy": _("Signer's policy allows it"),
    "sender": _("Sender not stopped"),
    "balance": _("Balance covers gas"),
    "head": _("Chain head up to date"),
    "nonce": _("No nonce gap"),
}


def precondition_facts(row: Deadline) -> list[Fact]:
    """List what the next proof needs, and what of it is not there."""
    unmet = row.unmet
    return [
        Fact(label, shown_text(unmet[name]) if name in unmet else gettext("yes"))
        for name, label in PRECONDITIONS.items()
    ]


def deadline_facts(row: Deadline, data: PageData) -> list[Fact]:
    """List what is known of a deadline."""
    clock = data.clock

    def epoch(value: int) -> str:
        left = "" if clock is None or value <= clock.epoch else formatting.time_left(clock.left_s(value))
        return gettext("epoch {height}{when}").format(
            height=formatting.whole(value), when=gettext(", in {left}").format(left=left) if left else ""
        )

    return [
        Fact(gettext("Forecast"), colon_text(FORECASTS[row.forecast].word, shown_text(row.reason))),
        Fact(gettext("Miss probability"), risk_text(row.miss)),
        Fact(gettext("Fault cutoff"), epoch(row.cutoff_epoch)),
        Fact(gettext("Challenge"), epoch(row.challenge_epoch)),
        Fact(gettext("Opens"), epoch(row.open_epoch)),
        Fact(gettext("Closes"), epoch(row.close_epoch)),
        Fact(
            gettext("Sectors"),
            gettext("{live} live, {faulty} faulty, {recovering} declared recovered").format(
                live=row.live, faulty=row.faulty, recovering=row.recovering
            ),
        ),
    ]


def recovery_facts(rows: Iterable[Recovery]) -> list[Fact]:
    """List the recoveries of a deadline's faulty sectors: their window, sectors and state."""
    return [
        Fact(
            gettext("epoch {open_epoch}, partition {parts}").format(
                open_epoch=formatting.whole(row.open_epoch), parts=row.partition_index
            ),
            clauses_text(
                [
                    colon_text(row.get_state_display(), shown_text(row.error))
                    if row.error
                    else row.get_state_display(),
                    gettext("{good} of {sectors}").format(
                        good=len(row.good), sectors=plural(len(row.sectors), "sector")
                    ),
                ]
            ),
        )
        for row in rows
    ]


def post_facts(post: WindowPost, viewer: Principal) -> Fact:
    """Return one WindowPoSt as a fact: its epoch, partitions, state, epochs to spare and skipped sectors."""
    label = POST_STATES[post.state]
    left_out = left_out_text(post, viewer)
    margin = (
        ""
        if post.landed_height is None
        else gettext(", {close_epoch} epochs to spare").format(
            close_epoch=post.close_epoch - post.landed_height
        )
    )
    parts = list_text(post.partitions)
    return Fact(
        gettext("epoch {open_epoch}, partition {parts}").format(
            open_epoch=formatting.whole(post.open_epoch), parts=parts
        ),
        f"{label.word}{margin}" + (f", {left_out}" if left_out else ""),
    )


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
        reason=shown_text(row.reason),
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
