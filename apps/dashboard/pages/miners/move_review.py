"""The page that asks once more before a miner is moved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.core.errors import BadValue
from apps.core.formatting import plural, whole
from apps.core.languages import clauses_text, colon_text, list_text
from apps.dashboard.confirm_page import ConfirmPage, confirm_page_render
from apps.dashboard.pages.miners.move_rows import WINDOWS_SHOWN
from apps.moves.rules.steps import Direction
from apps.moves.selectors.moves import move_of
from apps.moves.services.heights import height_check

if TYPE_CHECKING:
    from collections.abc import Iterable

    from apps.miners.models import Miner
    from apps.moves.rules.steps import Move, Step
    from apps.users.rules.principals import Principal

PAGES: Final = {Direction.IN: "miner-move-in", Direction.OUT: "miner-move-out"}
NAMES: Final = {Direction.IN: _("Move in"), Direction.OUT: _("Move out")}


def number_read(text: str) -> int:
    """Return a whole number; -1 for what is none, which no service takes."""
    plain = text.replace("\u202f", "").replace(" ", "").replace(",", "")
    return int(plain) if plain.isascii() and plain.isdigit() and len(plain) < 19 else -1


def review(
    request: HttpRequest, viewer: Principal, miner: Miner, direction: Direction, sent: dict[str, object]
) -> HttpResponse:
    """Show what an act means; the second click does it.  Raises BadValue."""
    act, height, number = str(sent["act"]), int(str(sent["height"])), int(str(sent["sectorid"]))
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
    elif act == "height":
        height_check(height, head=now.height, direction=direction)
        title, text = height_text(miner, direction, height)
        facts = tuple(height_facts(now, height))
    else:
        raise Http404
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
        hidden_fields=(
            ("act", act),
            ("height", str(height)),
            ("sectorid", str(number)),
            ("force", "yes" if first else ""),
        ),
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
