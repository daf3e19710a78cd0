"""Reading the proofs of windows, what was tried for them, and what became of windows."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

from django.db.models import (
    BooleanField,
    Count,
    Exists,
    ExpressionWrapper,
    Max,
    OuterRef,
    Prefetch,
    Q,
    QuerySet,
)

from apps.miners.models import Miner
from apps.proving.models import PostNote, ProofAttempt, WindowPost
from apps.proving.states import OPEN_ATTEMPTS, PostState

POST_FIELDS: Final = ("miner_id", "deadline_index", "open_epoch", "close_epoch", "state", "landed_height")
"""What a strip needs of a proof; the proof itself is long."""
NOTES_SHOWN: Final = 20
"""Notes that are read at once."""


def posts_of(miner: Miner, *, since_epoch: int) -> QuerySet[WindowPost]:
    """Return the proofs of a miner's windows that closed after `since_epoch`, newest first."""
    return WindowPost.objects.filter(miner=miner, close_epoch__gt=since_epoch)


def posts_opened(miners: Collection[int], *, since_epoch: int) -> QuerySet[WindowPost]:
    """Return the proofs of windows of several miners that opened since an epoch, without what is long."""
    return WindowPost.objects.filter(miner__in=miners, open_epoch__gte=since_epoch).only(*POST_FIELDS)


class MissedWindow(NamedTuple):
    """A window that closed without a proof on chain."""

    error: str
    """The last reason why."""
    is_proved: bool
    """Whether a proof was made, which did not land."""
    close_epoch: int


def windows_missed(miners: Collection[int], *, since_epoch: int) -> dict[tuple[int, int], MissedWindow]:
    """Return the windows that closed without a proof after `since_epoch`, by miner pk and deadline index."""
    rows = WindowPost.objects.filter(state=PostState.MISSED, close_epoch__gt=since_epoch, miner__in=miners)
    is_proved = ExpressionWrapper(Q(proof__isnull=False), output_field=BooleanField())
    found = rows.order_by("open_epoch", "part").values_list(
        "miner_id", "deadline_index", "error", is_proved, "close_epoch"
    )
    return {(miner, index): MissedWindow(*facts) for miner, index, *facts in found}


def posts_tried(miner: Miner, *, open_after: int, since_epoch: int) -> QuerySet[WindowPost]:
    """Return the proofs of windows that close after an epoch, and those since another one that had trouble.

    The proofs themselves and what their jobs work on, which are long, are left in the database.
    """
    is_open = Q(close_epoch__gt=open_after)
    has_notes = Q(close_epoch__gt=since_epoch) & Exists(PostNote.objects.filter(post=OuterRef("pk")))
    posts = WindowPost.objects.filter(is_open | has_notes, miner=miner)
    attempts = attempts_open("job__worker").defer("proof", "job__inputs", "job__proof")
    return posts.defer("proof").prefetch_related(attempts_prefetch(attempts)).order_by("-open_epoch", "part")


def attempts_open(*related: str) -> QuerySet[ProofAttempt]:
    """Return the attempts that may still lead to a proof, with what belongs to them."""
    return ProofAttempt.objects.filter(state__in=OPEN_ATTEMPTS).select_related(*related)


def attempts_prefetch(attempts: QuerySet[ProofAttempt]) -> Prefetch[str, QuerySet[ProofAttempt], str]:
    """Return what reads these attempts together with the proofs that they are for."""
    return Prefetch("attempts", queryset=attempts)


def notes_of(posts: Iterable[WindowPost]) -> list[PostNote]:
    """Return what was noted about these proofs lately, the newest first."""
    rows = PostNote.objects.filter(post__in=[post.pk for post in posts]).select_related("post")
    return list(rows.defer("post__proof").order_by("-pk")[:NOTES_SHOWN])


@dataclass(frozen=True, slots=True)
class Margin:
    """What became of one window."""

    margin: int | None
    """Epochs between its last landing and its close; None before all have landed."""
    missed: bool


def margins_of(miner: Miner, *, since_epoch: int) -> dict[tuple[int, int], Margin]:
    """Return what became of a miner's windows, by deadline and opening: one query over sums."""
    rows = WindowPost.objects.filter(miner=miner, open_epoch__gte=since_epoch).order_by()
    sums = rows.values("deadline_index", "open_epoch").annotate(
        close=Max("close_epoch"),
        landed=Max("landed_height"),
        proofs=Count("pk"),
        good=Count("pk", filter=Q(state=PostState.LANDED)),
        missed=Count("pk", filter=Q(state=PostState.MISSED)),
    )
    return {
        (row["deadline_index"], row["open_epoch"]): Margin(
            row["close"] - row["landed"] if row["good"] == row["proofs"] and row["landed"] else None,
            row["missed"] > 0,
        )
        for row in sums
    }


def posts_of_deadline(miner: Miner, index: int) -> list[WindowPost]:
    """Return the last proofs of a deadline, newest first, without what is long."""
    rows = WindowPost.objects.filter(miner=miner, deadline_index=index).defer("proof")
    return list(rows.order_by("-open_epoch", "part")[:NOTES_SHOWN])
