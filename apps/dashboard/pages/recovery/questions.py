"""What the operator settles for the whole pool after a restore; each question is asked once more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.core.formatting import whole
from apps.dashboard.confirm_page import ConfirmPage
from apps.dashboard.pages.recovery.unmatched import SHOWN
from apps.messages.selectors.recovery import recovery_row
from apps.messages.services.recovery.restore import recovery_end
from apps.miners.selectors.miners import miners_with_restored_moves
from apps.moves.services.heights import moves_settle
from apps.sectors.selectors.restored import sectors_unpledged
from apps.sectors.services.sealing.pledge import pledges_settle

if TYPE_CHECKING:
    from collections.abc import Callable

    from django_stubs_ext import StrOrPromise

    from apps.messages.models import Recovery
    from apps.miners.models import Miner


def is_on(row: Recovery) -> bool:
    """Return whether messages or sectors wait for what is read back."""
    return row.since is not None or row.sectors_since is not None


def moved_rows(row: Recovery) -> list[dict[str, str]]:
    """Return who proves the windows of moved miners, and the pages where that is set."""
    return [_moved_row(miner) for miner in miners_with_restored_moves(row)[:SHOWN]]


def _no_rows(_row: Recovery) -> list[dict[str, str]]:
    return []


def _moved_row(miner: Miner) -> dict[str, str]:
    page = "miner-move-out" if miner.works_until else "miner-move-in"
    if miner.works_until is None:
        text = gettext("the pool, from height {height} on").format(height=whole(miner.works_from or 0))
    elif miner.works_until:
        text = gettext("another program, from height {height} on").format(height=whole(miner.works_until))
    else:
        text = gettext("another program: not moved in yet")
    return {"name": miner.address, "href": reverse(page, args=[miner.address]), "words": text}


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What the operator settles for the whole pool; a page of its own asks once more."""

    key: str
    text: StrOrPromise
    """On this page, above what it is about."""
    label: StrOrPromise
    """Of the button below."""
    title: StrOrPromise
    warning: StrOrPromise
    """On the page that asks once more."""
    is_open: Callable[[Recovery], bool]
    settle: Callable[..., object]
    rows: Callable[[Recovery], list[dict[str, str]]] = _no_rows
    """What it is about, each with name, address of its page and words."""
    is_danger: bool = False

    def confirm(self) -> ConfirmPage:
        """Return the page that asks once more."""
        return ConfirmPage(
            title=self.title,
            text=self.warning,
            label=self.title,
            back=reverse("recovery"),
            page=_("Recovery"),
            section="messages",
            hidden_fields=(("settle", self.key),),
            facts=tuple((row["name"], row["words"]) for row in self.rows(recovery_row())),
        )


QUESTIONS: Final = (
    Question(
        key="pledges",
        text=_(
            "The pledges that created these sectors are lost, and with them their idempotency keys: a "
            "program that repeats one would create its sectors again. Check the programs that pledge, then "
            "allow it."
        ),
        label=_("Allow pledges with a key…"),
        title=_("Allow pledges with a key"),
        warning=_(
            "A program that repeats a pledge made after the backup then creates its sectors a second time. "
            "Continue only if none does."
        ),
        is_open=lambda row: sectors_unpledged(row).exists(),
        settle=pledges_settle,
    ),
    Question(
        key="moves",
        text=_(
            "Which program proves these miners, according to the backup. If that has changed since, set the "
            "height again on the miner's page Move in or Move out."
        ),
        label=_("Confirm who proves…"),
        title=_("Confirm who proves after the restore"),
        warning=_(
            "A miner that another program proves at the same time, or that none proves, loses power. "
            "Continue only if you have checked each of them."
        ),
        is_open=lambda row: miners_with_restored_moves(row).exists(),
        settle=moves_settle,
        rows=moved_rows,
    ),
    Question(
        key="end",
        text=_(
            "Recovery ends automatically when nothing is left above. You can end it now if you know that "
            "nothing was sent or sealed since the backup."
        ),
        label=_("End recovery…"),
        title=_("End recovery"),
        warning=_(
            "What was not read back yet may then be paid or sealed a second time. Continue only if you know "
            "that nothing was sent or sealed since the backup."
        ),
        is_open=is_on,
        settle=recovery_end,
        is_danger=True,
    ),
)
QUESTIONS_BY_KEY: Final = {question.key: question for question in QUESTIONS}


def questions_of(row: Recovery) -> list[dict[str, Any]]:
    """List what is to be settled now, as the page shows it."""
    return [
        {
            "key": question.key,
            "text": question.text,
            "label": question.label,
            "rows": question.rows(row),
            "is_danger": question.is_danger,
        }
        for question in QUESTIONS
        if question.is_open(row)
    ]
