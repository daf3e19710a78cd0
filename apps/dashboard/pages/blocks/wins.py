"""The latest wins, with what became of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.urls import reverse

from apps.blocks.selectors.rounds import rounds_won
from apps.core import formatting
from apps.core.stored_texts import stored_text
from apps.dashboard.html_time import time_html
from apps.dashboard.pages.blocks.states import STATES

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from apps.blocks.models import Round
    from apps.dashboard.page_data import PageData

WINS_MAX: Final = 20


@dataclass(frozen=True, slots=True)
class WinRow:
    """One round that was won."""

    href: str
    epoch: str
    miner: str
    tone: str
    word: StrOrPromise
    reason: str
    reward: str
    took: str
    at: str


def win_row(row: Round) -> WinRow:
    """Lay out one win; its row comes with block and miner."""
    label = STATES[row.state]
    block = getattr(row, "block", None)
    return WinRow(
        href=reverse("block-round", args=[row.uuid]),
        epoch=formatting.whole(row.epoch),
        miner=row.miner.name or row.miner.address,
        tone=label.tone,
        word=label.word,
        reason=stored_text(row.reason),
        reward=formatting.amount_text(None if block is None else block.reward),
        took=f"{made_ms(row):,} ms",
        at=str(time_html(row.at)),
    )


def made_ms(row: Round) -> int:
    """Return how long a block was in the making, without the wait for its time."""
    busy = [(start, start + length) for name, start, length in row.steps if name not in ("wait", "submit")]
    return max(end for _, end in busy) - min(start for start, _ in busy) if busy else 0


def win_rows(data: PageData) -> list[WinRow]:
    """Return the latest wins of the viewer's miners."""
    return [win_row(row) for row in rounds_won(data.miners)[:WINS_MAX]]
