"""Moving a miner into the pool from another program, and out of it: steps, heights, sector numbers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods

from apps.chain.node.client import chain_client
from apps.core.errors import BadValue, DomainError
from apps.core.formatting import plural, whole
from apps.core.languages import clauses_text, colon_text, list_text
from apps.dashboard.confirm_page import ConfirmPage, confirm_page_render, is_confirm_submitted
from apps.dashboard.forms import PageForm, form_render
from apps.dashboard.fragments import FragmentContext, LivePage, fragment
from apps.dashboard.number_fields import Whole
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.miners.move_rows import WINDOWS_SHOWN, step_row, window_row
from apps.dashboard.reauthentication import reauthenticate_first
from apps.dashboard.refusals import refusal_text
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.text_fields import Choice, Tick
from apps.miners.onchain.actors import numbers_allocated
from apps.miners.selectors.miners import miner_get
from apps.miners.states import MinerState
from apps.moves.rules.steps import Direction, Move, Step, StepState
from apps.moves.selectors.moves import height_refusal, move_of
from apps.moves.services.acts import HEIGHT, NUMBERS, move_step_do
from apps.moves.services.heights import height_check, move_cancel
from apps.users.rules.principals import Principal
from poolsite.filecoin.sector import MAX_SECTOR_NUMBER

if TYPE_CHECKING:
    from apps.miners.models import Miner

PAGES: Final = {Direction.IN: "miner-move-in", Direction.OUT: "miner-move-out"}
NAMES: Final = {Direction.IN: _("Move in"), Direction.OUT: _("Move out")}


def review(
    request: HttpRequest, viewer: Principal, miner: Miner, direction: Direction, form: MoveForm
) -> HttpResponse:
    """Show what an act means; the second click does it.  Raises BadValue."""
    act, height, number = (form.cleaned_data[name] for name in ("act", "height", "sectorid"))
    now = move_of(miner, viewer, direction=direction)
    facts: tuple[tuple[str, str], ...] = ()
    if act == "cancel":
        title = gettext("Cancel the height of {miner}").format(miner=miner.address)
        text = gettext(
            "Whoever ran the miner before keeps its windows and its blocks. The other program assigns its "
            "sector numbers until they are taken over again."
        )
    elif act == "numbers" and direction == Direction.IN:
        if number < 0:
            raise BadValue(
                gettext("enter the highest number that lotus-miner assigned or reserved"), field="sectorid"
            )
        title = gettext("Assign {miner}'s sector numbers here, from {number} on").format(
            miner=miner.address, number=whole(number + 1)
        )
        text = gettext("lotus-miner must assign none from now on: stop its pledges and deals first.")
    elif act == "numbers":
        title = gettext("Give {miner}'s sector numbers back").format(miner=miner.address)
        text = gettext("The pool pledges no more sectors for it. Those in progress are finished.")
    else:
        height_check(height, head=now.height, direction=direction)
        title, text = height_text(miner, direction, height)
        facts = tuple(height_facts(now, height))
    first = now.unfinished_before(act)
    if first:
        facts += ((gettext("Unfinished earlier steps"), clauses_text(map(step_text, first))),)
    ask = ConfirmPage(
        title=title,
        text=text,
        label=_("Continue with unfinished steps") if first else _("Confirm"),
        back=reverse(PAGES[direction], args=[miner.address]),
        page=NAMES[direction],
        section="miners",
        hidden_fields=tuple((form.typed | {"force": "yes" if first else ""}).items()),
        facts=facts,
    )
    return confirm_page_render(request, viewer, ask)


def step_text(step: Step) -> str:
    """Return a step and how it stands."""
    return colon_text(step.title, step.figure)


def height_text(miner: Miner, direction: Direction, height: int) -> tuple[str, str]:
    """Return the question before a height is set, and what it means."""
    at = whole(height)
    if direction == Direction.IN:
        title = gettext("The pool proves {miner} from height {height} on")
        text = gettext(
            "lotus-miner must run until the proof of its last window before that height has landed, "
            "and must be stopped by that height."
        )
    else:
        title = gettext("The pool stops proving {miner} at height {height}")
        text = gettext(
            "lotus-miner must be running when the first window from that height on opens, "
            "and not before that height. From now on the pool assigns no sector numbers."
        )
    return title.format(miner=miner.address, height=at), text


def height_facts(now: Move, height: int) -> Iterable[tuple[str, str]]:
    """Yield which windows within a proving period are whose, once the height is set."""
    first, later = (gettext("Proven by lotus-miner"), gettext("Proven by the pool"))
    if now.direction == Direction.OUT:
        first, later = gettext("Proven by the pool"), gettext("Proven by lotus-miner")
    for name, is_later in ((first, False), (later, True)):
        found = [one for one in now.windows if (one.open >= height) == is_later]
        near = found[:WINDOWS_SHOWN] if is_later else found[-WINDOWS_SHOWN:]
        parts = [
            gettext("deadline {deadline} ({opens}, {sectors})").format(
                deadline=one.deadline, opens=whole(one.open), sectors=plural(one.sectors, "sector")
            )
            for one in near
        ]
        if len(near) < len(found):
            parts.append(gettext("{count} more").format(count=whole(len(found) - len(near))))
        yield name, list_text(parts) or gettext("no windows with sectors within a proving period")
    yield gettext("Time until then"), plural(height - now.height, "epoch")
    if now.left:
        left = [step.title for step in now.left if step.key != "height"]
        yield gettext("Not done yet"), list_text(left) or gettext("nothing")


class MoveForm(PageForm):
    """What is done: a height is set or cancelled, sector numbers are taken over or given back."""

    act = Choice(["height", "cancel", "numbers"])
    height = Whole(least=0, most=MAX_SECTOR_NUMBER, empty=-1)
    """Neither this nor the other has -1, which no service takes."""
    sectorid = Whole(least=0, most=MAX_SECTOR_NUMBER, empty=-1)
    force = Tick()
    """Also while steps that come before are unfinished, which the review names."""


def verdict(move: Move) -> str:
    """Return how far a move is."""
    done = len(move.steps) - len(move.left)
    text = gettext("{done} of {steps} done").format(done=done, steps=plural(len(move.steps), "step"))
    following = next((step for step in move.left if step.state == StepState.TO_DO), None)
    return (
        text
        if following is None
        else gettext("{words}; next: {step}").format(words=text, step=following.title)
    )


def is_created_here(miner: Miner, direction: Direction) -> bool:
    """Return whether the pool created a miner that never left it: a height would only stop its proofs."""
    has_moved = miner.works_from is not None or miner.works_until is not None
    return direction == Direction.IN and miner.create_message_id is not None and not has_moved


def state_of(miner: Miner, viewer: Principal, direction: Direction, data: PageData) -> dict[str, object]:
    """Return what changes on the page by itself; where no node answers, why."""
    try:
        move = move_of(miner, viewer, direction=direction)
    except DomainError as refusal:
        return {"move": None, "say": refusal_text(refusal), "steps": (), "windows": ()}
    epoch_s = 30.0 if data.network is None else data.network.epoch_s
    numbers = next(step for step in move.steps if step.key == NUMBERS)
    return {
        "move": move,
        "height_refusal": height_refusal(miner, head=move.height, direction=direction),
        "numbers_done": numbers.figure if numbers.state == StepState.DONE else "",
        "say": verdict(move),
        "tone": "ok" if not move.left else "warn",
        "steps": [step_row(step) for step in move.steps],
        "windows": [window_row(one, move, epoch_s=epoch_s) for one in move.windows],
    }


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
def move(request: HttpRequest, viewer: Principal, address: str, direction: Direction) -> HttpResponse:
    """Show the steps; set or cancel the height, take or give back sector numbers, each after a review."""
    miner = miner_get(viewer, address)
    may_change = viewer.may("sign") and not is_created_here(miner, direction)
    if miner.state != MinerState.ACTIVE or (request.method == "POST" and not may_change):
        raise Http404
    form = MoveForm.of(request)
    if form.is_valid():
        with form.refusals():
            if not is_confirm_submitted(request):
                return review(request, viewer, miner, direction, form)
            if (held := reauthenticate_first(request, viewer)) is not None:
                return held
            act_do(miner, direction, form.cleaned_data, by=viewer)
            return redirect(PAGES[direction], address)
    data = PageData(viewer)
    opposite = Direction.OUT if direction == Direction.IN else Direction.IN
    return form_render(
        request,
        viewer,
        "miners/move.html",
        form,
        title=NAMES[direction],
        section="miners",
        page_key=f"{PAGES[direction]}:{address}",
        data=data,
        miner=miner,
        direction=str(direction),
        name=f"{miner.name} {miner.address}".strip(),
        back=reverse("miner", args=[miner.address]),
        other=reverse(PAGES[opposite], args=[miner.address]),
        may_change=may_change,
        is_created_here=is_created_here(miner, direction),
        **state_of(miner, viewer, direction, data),
    )


def act_do(miner: Miner, direction: Direction, sent: dict[str, Any], *, by: Principal) -> None:
    """Do what the form says.  Raises DomainError with the field to blame."""
    act = sent["act"]
    if act == "cancel":
        move_cancel(miner, by=by)
    else:
        move_step_do(
            miner,
            direction=direction,
            step=NUMBERS if act == "numbers" else HEIGHT,
            number=sent["sectorid" if act == "numbers" else "height"],
            by=by,
            allocated=numbers_allocated(chain_client(), miner.address) if direction == Direction.OUT else (),
            is_forced=sent["force"],
        )


def move_fragment(direction: Direction, context: FragmentContext) -> Iterable[str]:
    """Yield what changes on the page: steps and windows."""
    try:
        miner = miner_get(context.viewer, context.key)
    except DomainError:
        return
    yield fragment("miners/_move.html", **state_of(miner, context.viewer, direction, context.data))


def in_fragment(context: FragmentContext) -> Iterable[str]:
    """Yield it for the way in."""
    yield from move_fragment(Direction.IN, context)


def out_fragment(context: FragmentContext) -> Iterable[str]:
    """Yield it for the way out."""
    yield from move_fragment(Direction.OUT, context)


urlpatterns: Final = [
    path("miners/<str:address>/move-in/", move, {"direction": Direction.IN}, name="miner-move-in"),
    path("miners/<str:address>/move-out/", move, {"direction": Direction.OUT}, name="miner-move-out"),
]
LIVE: Final = {
    "miner-move-in": LivePage({"miner": (in_fragment,), "deadline": (in_fragment,)}),
    "miner-move-out": LivePage({"miner": (out_fragment,), "deadline": (out_fragment,)}),
}
