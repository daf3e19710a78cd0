"""A deadline as facts: its window, what it needs, its proof."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.core import formatting
from apps.core.formatting import plural
from apps.core.languages import clauses_text, colon_text, list_text
from apps.core.stored_texts import stored_text
from apps.dashboard.cards import Fact
from apps.dashboard.pages.miners.deadlines import FORECASTS
from apps.dashboard.pages.miners.proofs import POST_STATES
from apps.dashboard.pages.proving.left_out import left_out_text
from apps.dashboard.pages.proving.rows import risk_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from apps.dashboard.page_data import PageData
    from apps.proving.models import Deadline, Recovery, WindowPost
    from apps.users.rules.principals import Principal

PRECONDITIONS: Final = {
    "host": _("Prover connected"),
    "store": _("Stores reachable"),
    "signer": _("Signer connected"),
    "sender": _("Sender not stopped"),
    "balance": _("Balance covers gas"),
    "head": _("Chain head up to date"),
    "nonce": _("No nonce gap"),
}


def precondition_facts(row: Deadline) -> list[Fact]:
    """List what the next proof needs, and what of it is not there."""
    return [
        Fact(label, row.unmet_preconditions.get(name, gettext("yes")))
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
        Fact(gettext("Forecast"), colon_text(FORECASTS[row.forecast].word, stored_text(row.reason))),
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
                    colon_text(row.get_state_display(), stored_text(row.error))
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
