"""Moving a miner into the pool from another program, and out of it: steps, heights, sector numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods

from apps.chain.client import chain_client
from apps.core import clock
from apps.core.errors import BadValue, DomainError
from apps.core.formatting import plural, time_left, whole
from apps.dashboard.confirm_page import ConfirmPage, confirm_page_render, is_confirm_submitted
from apps.dashboard.forms import PageForm, Text, form_render
from apps.dashboard.fragments import FragmentContext, LivePage, fragment
from apps.dashboard.labels import StateLabel
from apps.dashboard.page_data import PageData
from apps.dashboard.reauthentication import reauthenticate_first
from apps.dashboard.sessions import sign_in_required
from apps.miners.onchain import numbers_allocated
from apps.miners.selectors import miner_get
from apps.miners.states import MinerState
from apps.moves.selectors import move_of
from apps.moves.services.heights import move_cancel, move_in, move_out
from apps.moves.steps import StepState, Way, first_text
from apps.sectors.services.reservations import sectorid_export, sectorid_import

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django_stubs_ext import StrOrPromise

    from apps.miners.models import Miner
    from apps.moves.steps import Move, MoveWindow, Step
    from apps.users.principals import Principal

STATES: Final = {
    StepState.DONE: StateLabel("ok", _("done")),
    StepState.TO_DO: StateLabel("warn", _("to do")),
    StepState.BLOCKED: StateLabel("idle", _("blocked")),
}
WINDOWS_TOLD: Final = 6
"""Windows that a review names on each side of the height, those nearest to it."""
PAGES: Final = {Way.IN: "miner-move-in", Way.OUT: "miner-move-out"}
NAMES: Final = {Way.IN: _("Move in"), Way.OUT: _("Move out")}


@dataclass(frozen=True, slots=True)
class StepRow:
    """One step as the page shows it."""

    key: str
    title: str
    label: StateLabel
    figure: str
    first: str
    risk: str
    command: str
    href: str
    button: str


@dataclass(frozen=True, slots=True)
class WindowRow:
    """A window with sectors."""

    deadline: str
    opens: str
    closes: str
    left: str
    sectors: str
    who: StrOrPromise
    label: StateLabel


class MoveForm(PageForm):
    """What is done: a height is set or cancelled, sector numbers are taken over or given back."""

    act = Text()
    height = Text()
    sectorid = Text()

    def clean_height(self) -> int:
        """Read a height, with or without the spaces that pages write into it."""
        return number_read(self.cleaned_data["height"])

    def clean_sectorid(self) -> int:
        """Read a sector number."""
        return number_read(self.cleaned_data["sectorid"])


def number_read(text: str) -> int:
    """Return a whole number; -1 for what is none, which no service takes."""
    plain = text.replace("\u202f", "").replace(" ", "").replace(",", "")
    return int(plain) if plain.isascii() and plain.isdigit() and len(plain) < 19 else -1


def step_row(step: Step) -> StepRow:
    """Lay out one step."""
    return StepRow(
        key=step.key,
        title=step.title,
        label=STATES[step.state],
        figure=step.figure,
        first=first_text(step),
        risk="" if step.state == StepState.DONE else step.risk,
        command="" if step.state == StepState.DONE else step.command,
        href="" if step.link is None else step.link.address,
        button=step.button,
    )


def window_row(window: MoveWindow, move: Move, *, epoch_s: float) -> WindowRow:
    """Lay out one window."""
    if window.is_proven is None:
        label = StateLabel("idle", _("upcoming"))
    else:
        label = StateLabel("ok", _("proven")) if window.is_proven else StateLabel("run", _("open"))
    until = window.open if window.is_proven is None else window.close
    return WindowRow(
        deadline=str(window.deadline),
        opens=whole(window.open),
        closes=whole(window.close),
        left=time_left((until - move.height) * epoch_s),
        sectors=whole(window.sectors),
        who=_("the pool") if window.is_ours else _("the other program"),
        label=label,
    )


def verdict(move: Move) -> str:
    """Return how far a move is."""
    done = len(move.steps) - len(move.left)
    words = gettext("{done} of {steps} done").format(done=done, steps=plural(len(move.steps), "step"))
    following = next((step for step in move.left if step.state == StepState.TO_DO), None)
    return (
        words
        if following is None
        else gettext("{words}; next: {step}").format(words=words, step=following.title)
    )


def state_of(miner: Miner, viewer: Principal, way: Way, data: PageData) -> dict[str, object]:
    """Return what changes on the page by itself; where no node answers, why."""
    try:
        move = move_of(miner, viewer, way=way)
    except DomainError as refusal:
        return {"move": None, "say": refusal.reason, "steps": (), "windows": ()}
    epoch_s = 30.0 if data.network is None else data.network.epoch_s
    return {
        "move": move,
        "say": verdict(move),
        "tone": "ok" if not move.left else "warn",
        "steps": [step_row(step) for step in move.steps],
        "windows": [window_row(one, move, epoch_s=epoch_s) for one in move.windows],
    }


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
def move(request: HttpRequest, viewer: Principal, address: str, way: Way) -> HttpResponse:
    """Show the steps; set or cancel the height, take or give back sector numbers, each after a review."""
    miner = miner_get(viewer, address)
    if miner.state != MinerState.ACTIVE or (request.method == "POST" and not viewer.may("sign")):
        raise Http404
    form = MoveForm.of(request)
    if form.is_valid():
        with form.refusals():
            if not is_confirm_submitted(request):
                return review(request, viewer, miner, way, form.cleaned_data)
            if (held := reauthenticate_first(request, viewer)) is not None:
                return held
            act_do(miner, way, form.cleaned_data, by=viewer)
            return redirect(PAGES[way], address)
    data = PageData(viewer)
    return form_render(
        request,
        viewer,
        "miners/move.html",
        form,
        title=NAMES[way],
        section="miners",
        page_key=f"{PAGES[way]}:{address}",
        data=data,
        miner=miner,
        way=str(way),
        name=f"{miner.name} {miner.address}".strip(),
        back=reverse("miner", args=[miner.address]),
        other=reverse(PAGES[Way.OUT if way == Way.IN else Way.IN], args=[miner.address]),
        may_change=viewer.may("sign"),
        **state_of(miner, viewer, way, data),
    )


def act_do(miner: Miner, way: Way, sent: dict[str, object], *, by: Principal) -> None:
    """Do what the form says.  Raises DomainError with the field to blame."""
    act, height, number = sent["act"], int(str(sent["height"])), int(str(sent["sectorid"]))
    if act == "cancel":
        move_cancel(miner, by=by)
    elif act == "numbers" and way == Way.IN:
        sectorid_import(miner, number, principal=by)
    elif act == "numbers":
        taken = numbers_allocated(chain_client(), miner.address)
        sectorid_export(miner, principal=by, now=clock.now(), taken=taken)
    else:
        (move_in if way == Way.IN else move_out)(miner, height, by=by)


def review(
    request: HttpRequest, viewer: Principal, miner: Miner, way: Way, sent: dict[str, object]
) -> HttpResponse:
    """Show what an act means; the second click does it.  Raises BadValue."""
    act, height, number = str(sent["act"]), int(str(sent["height"])), int(str(sent["sectorid"]))
    now = move_of(miner, viewer, way=way)
    facts: tuple[tuple[str, str], ...] = ()
    if act == "cancel":
        title = gettext("Cancel the height of {miner}").format(miner=miner.address)
        text = gettext("Whoever ran the miner before keeps its windows and its blocks.")
    elif act == "numbers" and way == Way.IN:
        if number < 0:
            raise BadValue(gettext("enter the highest number that lotus-miner assigned"), field="sectorid")
        title = gettext("Assign {miner}'s sector numbers here, from {number} on").format(
            miner=miner.address, number=whole(number + 1)
        )
        text = gettext("lotus-miner must assign none from now on: stop its pledges and deals first.")
    elif act == "numbers":
        title = gettext("Give {miner}'s sector numbers back").format(miner=miner.address)
        text = gettext("The pool pledges no more sectors for it. Those in progress are finished.")
    elif act == "height":
        if height <= now.height:
            raise BadValue(
                gettext("enter a height above the head's, {height}").format(height=whole(now.height)),
                field="height",
            )
        title, text = height_words(miner, way, height)
        facts = tuple(height_facts(now, height))
    else:
        raise Http404
    ask = ConfirmPage(
        title=title,
        text=text,
        label=_("Confirm"),
        back=reverse(PAGES[way], args=[miner.address]),
        page=NAMES[way],
        section="miners",
        kept=(("act", act), ("height", str(height)), ("sectorid", str(number))),
        facts=facts,
    )
    return confirm_page_render(request, viewer, ask)


def height_words(miner: Miner, way: Way, height: int) -> tuple[str, str]:
    """Return the question before a height is set, and what it means."""
    at = whole(height)
    if way == Way.IN:
        title = gettext("The pool proves {miner} from height {height} on")
        text = gettext(
            "lotus-miner must run until the proof of its last window before that height has landed, "
            "and must be stopped by that height."
        )
    else:
        title = gettext("The pool stops proving {miner} at height {height}")
        text = gettext(
            "lotus-miner must be running when the first window from that height on opens, "
            "and not before that height."
        )
    return title.format(miner=miner.address, height=at), text


def height_facts(now: Move, height: int) -> Iterable[tuple[str, str]]:
    """Yield which windows within a proving period are whose, once the height is set."""
    first, later = (gettext("Proven by lotus-miner"), gettext("Proven by the pool"))
    if now.way == Way.OUT:
        first, later = gettext("Proven by the pool"), gettext("Proven by lotus-miner")
    for name, is_later in ((first, False), (later, True)):
        found = [one for one in now.windows if (one.open >= height) == is_later]
        near = found[:WINDOWS_TOLD] if is_later else found[-WINDOWS_TOLD:]
        words = [
            gettext("deadline {deadline} ({opens}, {sectors})").format(
                deadline=one.deadline, opens=whole(one.open), sectors=plural(one.sectors, "sector")
            )
            for one in near
        ]
        if len(near) < len(found):
            words.append(gettext("{count} more").format(count=whole(len(found) - len(near))))
        yield name, ", ".join(words) or gettext("no windows with sectors within a proving period")
    yield gettext("Time until then"), plural(height - now.height, "epoch")
    if now.left:
        left = [step.title for step in now.left if step.key != "height"]
        yield gettext("Not done yet"), ", ".join(left) or gettext("nothing")


def move_fragment(way: Way, context: FragmentContext) -> Iterable[str]:
    """Yield what changes on the page: steps and windows."""
    try:
        miner = miner_get(context.viewer, context.key)
    except DomainError:
        return
    yield fragment("miners/_move.html", **state_of(miner, context.viewer, way, context.data))


def in_fragment(context: FragmentContext) -> Iterable[str]:
    """Yield it for the way in."""
    yield from move_fragment(Way.IN, context)


def out_fragment(context: FragmentContext) -> Iterable[str]:
    """Yield it for the way out."""
    yield from move_fragment(Way.OUT, context)


urlpatterns: Final = [
    path("miners/<str:address>/move-in/", move, {"way": Way.IN}, name="miner-move-in"),
    path("miners/<str:address>/move-out/", move, {"way": Way.OUT}, name="miner-move-out"),
]
LIVE: Final = {
    "miner-move-in": LivePage({"miner": (in_fragment,), "deadline": (in_fragment,)}),
    "miner-move-out": LivePage({"miner": (out_fragment,), "deadline": (out_fragment,)}),
}
