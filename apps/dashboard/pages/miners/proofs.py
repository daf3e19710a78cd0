"""A miner's window proofs, and what went wrong with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from apps.chain.selectors.status import EpochClock
from apps.core import formatting
from apps.core.formatting import plural
from apps.core.languages import clauses_text, colon_text, list_text
from apps.core.reasons import shown_text
from apps.dashboard.cards import Event
from apps.dashboard.html_time import time_html
from apps.dashboard.labels import StateLabel
from apps.dashboard.pages.hosts.job_text import progress_text
from apps.proving.services.retries import last_try_epoch_compute, partial_proof_epoch_compute
from apps.proving.states import AttemptKind, AttemptState, PostState
from poolsite.filecoin.policy import Network

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from apps.proving.models import PostNote, WindowPost


POST_STATES: Final[dict[str, StateLabel]] = {
    PostState.PROVING: StateLabel("run", _("being proved")),
    PostState.PROVED: StateLabel("run", _("proved")),
    PostState.SENT: StateLabel("run", _("sent")),
    PostState.LANDED: StateLabel("ok", _("landed")),
    PostState.MISSED: StateLabel("bad", _("missed")),
    PostState.NOTHING: StateLabel("bad", _("unreadable")),
}
WAITING_TEXTS: Final = {
    AttemptKind.FIRST: _("waiting for a prover"),
    AttemptKind.BACKUP: _("waiting for a backup prover"),
}
"""What is said of an attempt that no host has claimed."""


@dataclass(frozen=True, slots=True)
class ProofRow:
    """The proof of some partitions for one window."""

    deadline: int
    partitions: str
    tone: str
    word: StrOrPromise
    icon: str
    left_out: str
    """How many sectors the proof leaves out."""
    tries: int
    """Failures in a row."""
    again: str
    """What happens next, in words; empty where nothing is left to be tried."""
    again_until: int | None
    """When; seconds since 1970."""
    again_left: str
    why: str


def proof_row(
    post: WindowPost, *, clock: EpochClock | None, network: Network | None, now: datetime
) -> ProofRow:
    """Lay out one proof."""
    word = POST_STATES[post.state]
    say, until = _next_try(post, clock=clock, network=network)
    count = sum(len(sectors) for sectors in post.skipped.values())
    return ProofRow(
        deadline=post.deadline_index,
        partitions=list_text(post.partitions),
        tone=word.tone,
        word=word.word,
        icon=word.sign,
        left_out=plural(count, "sector") if count else "",
        tries=post.tries,
        again=say,
        again_until=until,
        again_left="" if until is None else formatting.time_left(until - now.timestamp()),
        why=shown_text(_stall_text(post) or post.error),
    )


def _stall_text(post: WindowPost) -> str:
    first = post.attempt(AttemptKind.FIRST)
    return first.reason if first is not None and first.state == AttemptState.STALLED else ""


def _attempts_text(post: WindowPost) -> str:
    """Return who is at a proof and how far, `prover-1: 5 of 20 sectors`, or that it is offered."""
    parts = []
    for kind, waiting_text in WAITING_TEXTS.items():
        attempt = post.attempt(kind)
        if attempt is not None:
            job = attempt.work
            far = progress_text(job)
            parts.append(
                colon_text(job.worker.name, far or gettext("in progress"))
                if job.worker
                else str(waiting_text)
            )
    return clauses_text(parts)


def _next_try(
    post: WindowPost, *, clock: EpochClock | None, network: Network | None
) -> tuple[str, int | None]:
    """Return what happens next to a proof, and when; None is as soon as it can be."""
    if clock is None or network is None or clock.epoch >= post.close_epoch:
        return "", None
    if post.state in (PostState.PROVING, PostState.NOTHING):
        if post.state == PostState.PROVING and post.attempt(AttemptKind.FIRST) is not None:
            return _attempts_text(post), None
        last = last_try_epoch_compute(post, network=network)
        if clock.epoch > last:
            return gettext("too late to retry"), None
        then = post.try_epoch or 0
        until = clock.starts_at(then) if then > clock.epoch else None
        return gettext("retried until epoch {last}").format(last=formatting.whole(last)), until
    if post.state == PostState.PROVED:
        sends = partial_proof_epoch_compute(post, network=network) if post.skipped else post.open_epoch
        wait = gettext("sent with the sectors readable by then") if post.skipped else gettext("sent")
        return wait, clock.starts_at(sends) if sends > clock.epoch else None
    return (gettext("waiting for a block"), None) if post.state == PostState.SENT else ("", None)


def note_rows(notes: Sequence[PostNote]) -> list[Event]:
    """Lay out what was tried, the newest first."""
    return [
        Event(
            at=time_html(row.at),
            tone="bad" if row.is_error else "ok",
            icon="bad" if row.is_error else "ok",
            say=shown_text(row.words),
            sub=ngettext(
                "deadline {deadline_index}, partition {partitions}",
                "deadline {deadline_index}, partitions {partitions}",
                len(row.post.partitions),
            ).format(
                deadline_index=row.post.deadline_index,
                partitions=list_text(row.post.partitions),
            ),
            took=gettext("epoch {epoch}").format(epoch=formatting.whole(row.epoch)),
        )
        for row in notes
    ]
