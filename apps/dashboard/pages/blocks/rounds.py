"""One round with its steps in milliseconds, and the warm-up, which goes the way of a win."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import path
from django.utils.translation import gettext
from django.views.decorators.http import require_POST, require_safe

from apps.blocks.rounds.warm_up import WarmUp, warm_up
from apps.blocks.selectors.rounds import round_get
from apps.core import formatting
from apps.core.errors import NotFound
from apps.core.reasons import shown_text
from apps.dashboard.cards import Fact
from apps.dashboard.charts import Gantt, GanttRow, Tick, gantt_bar
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.refusals import refusal_text
from apps.dashboard.sessions import sign_in_required
from apps.miners.selectors.miners import miner_get
from apps.proving.errors import NothingToProve
from apps.users.rules.principals import Principal

if TYPE_CHECKING:
    from apps.blocks.models import Round

from apps.dashboard.pages.blocks.states import STATES, STEP_TEXTS


def timeline_of(row: Round) -> Gantt:
    """Lay out a win's steps, the first to begin on top."""
    end = max([row.budget_ms, *(start + length for _, start, length in row.steps), 1])
    rows = [
        GanttRow(
            stage=STEP_TEXTS.get(name, name),
            took=f"{length:,} ms",
            text=gettext("{step_words}: starts at {start} ms, takes {length} ms").format(
                step_words=STEP_TEXTS.get(name, name), start=start, length=length
            ),
            bars=(gantt_bar(max(start, 0) / end, (start + length) / end, tone=_step_tone(name)),),
        )
        for name, start, length in sorted(row.steps, key=lambda step: step[1])
    ]
    marks = ((0.0, "0", "start"), (0.5, f"{end // 2:,} ms", "middle"), (1.0, f"{end:,} ms", "end"))
    ticks = tuple(Tick(100 * place, label, anchor) for place, label, anchor in marks)
    limit = round(100 * row.budget_ms / end, 2) if row.budget_ms else None
    return Gantt(tuple(rows), ticks, limit)


def _step_tone(name: str) -> str:
    return "idle" if name == "wait" else "run"


def facts_of(row: Round) -> list[Fact]:
    """List what is known of a round."""
    block = getattr(row, "block", None)
    facts = [
        Fact(gettext("Miner"), row.miner.address),
        Fact(gettext("Epoch"), formatting.whole(row.epoch)),
        Fact(
            gettext("Base"),
            gettext("epoch {base_height}").format(base_height=formatting.whole(row.base_height)),
        ),
        Fact(
            gettext("Wins"),
            gettext("{win_count}, {expected:.4f} expected").format(
                win_count=row.win_count, expected=row.expected
            ),
        ),
        Fact(gettext("Sector"), formatting.whole(row.sector)),
    ]
    if row.reason:
        facts.append(Fact(gettext("Reason"), shown_text(row.reason)))
    if block is not None:
        facts += [
            Fact(gettext("Block"), block.cid or formatting.NOTHING),
            Fact(gettext("Messages"), formatting.whole(block.messages)),
            Fact(gettext("Reward"), formatting.amount_text(block.reward)),
            Fact(gettext("Penalty"), formatting.amount_text(block.penalty)),
        ]
    return facts


@require_safe
@sign_in_required
def win(request: HttpRequest, viewer: Principal, uuid: str) -> HttpResponse:
    """Show one round with its timeline."""
    try:
        row = round_get(viewer, uuid)
    except NotFound:
        raise Http404 from None
    return page_render(
        request,
        "blocks/win.html",
        title=gettext("Epoch {epoch}").format(epoch=row.epoch),
        section="blocks",
        page_key="",
        data=PageData(viewer),
        round=row,
        label=STATES[row.state],
        gantt=timeline_of(row),
        facts=facts_of(row),
    )


@require_POST
@sign_in_required
def warm_up_page(request: HttpRequest, viewer: Principal, uuid: str) -> HttpResponse:
    """Go the way of a win with a throw-away challenge, and show what each step took."""
    try:
        miner = miner_get(viewer, str(uuid))
    except NotFound:
        raise Http404 from None
    if not viewer.may("write"):
        raise Http404
    try:
        done = warm_up(miner, viewer=viewer)
    except NothingToProve as refusal:
        done = WarmUp(failed="start", reason=refusal_text(refusal))
    facts = [Fact(STEP_TEXTS.get(name, name), f"{took:,} ms") for name, took in done.steps]
    return page_render(
        request,
        "blocks/warm_up.html",
        title=gettext("Warm-up"),
        section="blocks",
        page_key="",
        data=PageData(viewer),
        miner=miner.name or miner.address,
        failed=STEP_TEXTS.get(done.failed, done.failed),
        reason=shown_text(done.reason),
        facts=facts,
    )


urlpatterns: Final = [
    path("blocks/<uuid:uuid>/", win, name="block-round"),
    path("blocks/<uuid:uuid>/warm-up/", warm_up_page, name="blocks-warm-up"),
]
