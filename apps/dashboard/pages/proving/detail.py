"""One deadline, one of its partitions, and the looks that somebody asks for there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.http import Http404
from django.shortcuts import redirect
from django.urls import path
from django.utils.translation import gettext as say
from django.views.decorators.http import require_POST, require_safe

from apps.core import formatting
from apps.core.errors import DomainError, NotAllowed, NotFound
from apps.dashboard.cards import Fact
from apps.dashboard.labels import StateLabel
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.miners.deadlines import FORECASTS
from apps.dashboard.pages.miners.proofs import POST_STATES
from apps.dashboard.pages.proving.left_out import left_out_text
from apps.dashboard.pages.proving.rows import check_rows, partition_rows, risk_text, sector_row
from apps.dashboard.sessions import sign_in_required
from apps.miners.selectors import miner_get
from apps.proving.selectors.checks import checks_latest, sector_checks
from apps.proving.selectors.deadlines import deadline_index_of, deadline_of
from apps.proving.selectors.posts import posts_of_deadline
from apps.proving.services.compaction import compactable
from apps.proving.services.trials import deadline_dry_run, sector_test
from apps.proving.tasks import proving_context

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest, HttpResponse

    from apps.miners.models import Miner
    from apps.proving.models import Deadline, WindowPost
    from apps.proving.services.proving_context import ProvingContext
    from apps.users.principals import Principal

CHECKS_SHOWN: Final = 20
SECTORS_SHOWN: Final = 200
"""Sectors of a partition on one page."""
PRECONDITIONS: Final = {
    "host": "Prover connected",
    "store": "Stores reachable",
    "signer": "Signer connected",
    "balance": "Balance covers gas",
    "head": "Chain head up to date",
    "nonce": "No nonce gap",
}


def _found(viewer: Principal, address: str, index: int) -> tuple[Miner, Deadline]:
    try:
        miner = miner_get(viewer, address)
    except NotFound:
        raise Http404 from None
    row = deadline_of(miner, index)
    if row is None:
        raise Http404
    return miner, row


def precondition_facts(row: Deadline) -> list[Fact]:
    """List what the next proof needs, and what of it is not there."""
    return [Fact(say(label), row.lacks.get(name, say("yes"))) for name, label in PRECONDITIONS.items()]


def deadline_facts(row: Deadline, data: PageData) -> list[Fact]:
    """List what is known of a deadline."""
    clock = data.clock

    def epoch(value: int) -> str:
        left = "" if clock is None or value <= clock.epoch else formatting.time_left(clock.left_s(value))
        return say("epoch {height}{when}").format(
            height=formatting.whole(value), when=say(", in {left}").format(left=left) if left else ""
        )

    return [
        Fact(say("Forecast"), f"{FORECASTS[row.forecast].word}: {row.reason}"),
        Fact(say("Miss probability"), risk_text(row.miss)),
        Fact(say("Fault cutoff"), epoch(row.cutoff_epoch)),
        Fact(say("Challenge"), epoch(row.challenge_epoch)),
        Fact(say("Opens"), epoch(row.open_epoch)),
        Fact(say("Closes"), epoch(row.close_epoch)),
        Fact(
            say("Sectors"),
            say("{live} live, {faulty} faulty, {recovering} declared recovered").format(
                live=row.live, faulty=row.faulty, recovering=row.recovering
            ),
        ),
    ]


def post_facts(post: WindowPost, viewer: Principal) -> Fact:
    """Say what became of one proof."""
    label = POST_STATES[post.state]
    left_out = left_out_text(post, viewer)
    margin = (
        ""
        if post.landed_height is None
        else say(", {close_epoch} epochs to spare").format(close_epoch=post.close_epoch - post.landed_height)
    )
    parts = ", ".join(map(str, post.partitions))
    return Fact(
        say("epoch {open_epoch}, partition {parts}").format(
            open_epoch=formatting.whole(post.open_epoch), parts=parts
        ),
        f"{label.word}{margin}" + (f", {left_out}" if left_out else ""),
    )


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
        title=say("{miner} · deadline {index}").format(miner=miner.name or miner.address, index=index),
        section="proving",
        page_key="",
        data=data,
        status=409 if problem else 200,
        miner=miner.name or miner.address,
        address=miner.address,
        index=index,
        forecast=FORECASTS[row.forecast],
        reason=row.reason,
        facts=deadline_facts(row, data),
        preconditions=precondition_facts(row),
        partitions=partition_rows(row, miner.address),
        windows=[post_facts(post, viewer) for post in posts_of_deadline(miner, index)],
        checks=check_rows(checks_latest([miner], index=index)[:CHECKS_SHOWN], data),
        may_run=viewer.may("write") and row.live > 0,
        may_compact=viewer.may("sign") and bool(compactable(row)),
        problem=problem,
    )


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
            return StateLabel("warn", "recovering")
        if number in faulty:
            return StateLabel("bad", "faulty")
        return StateLabel("ok", "active") if number in active else StateLabel("idle", "not proved yet")

    return page_render(
        request,
        "proving/partition.html",
        title=say("{miner} · deadline {index} · partition {part}").format(
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


def _asked(viewer: Principal, address: str) -> Miner:
    try:
        miner = miner_get(viewer, address)
    except NotFound:
        raise Http404 from None
    if not viewer.may("write"):
        raise Http404
    return miner


@require_POST
@sign_in_required
def dry_run(request: HttpRequest, viewer: Principal, address: str, index: int) -> HttpResponse:
    """Have the deadline's whole proof made without sending it."""
    miner = _asked(viewer, address)

    def begin(context: ProvingContext) -> object:
        return deadline_dry_run(miner, index, principal=viewer, context=context)

    return _begun(request, viewer, miner, index, begin)


@require_POST
@sign_in_required
def test(request: HttpRequest, viewer: Principal, address: str, number: int) -> HttpResponse:
    """Have one sector's files looked at."""
    miner = _asked(viewer, address)
    index = deadline_index_of(miner, number)
    if index is None:
        raise Http404

    def begin(context: ProvingContext) -> object:
        return sector_test(miner, number, principal=viewer, context=context)

    return _begun(request, viewer, miner, index, begin)


def _begun(
    request: HttpRequest,
    viewer: Principal,
    miner: Miner,
    index: int,
    begin: Callable[[ProvingContext], object],
) -> HttpResponse:
    context, problem = proving_context(), ""
    if context is None:
        problem = say("there is no chain head yet")
    else:
        try:
            begin(context)
        except (NotFound, NotAllowed):
            raise Http404 from None
        except DomainError as error:
            problem = error.reason
    if problem:
        return deadline_render(request, viewer, miner.address, index, problem=problem)
    return redirect("proving-deadline", miner.address, index)


urlpatterns: Final = [
    path("proving/<str:address>/<int:index>/", deadline, name="proving-deadline"),
    path("proving/<str:address>/<int:index>/dry-run/", dry_run, name="proving-dry-run"),
    path("proving/<str:address>/<int:index>/<int:part>/", partition, name="proving-partition"),
    path("proving/<str:address>/sectors/<int:number>/test/", test, name="proving-test"),
]
