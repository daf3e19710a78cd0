"""What happens on a new head: an ordered table of steps that the follower enqueues; no signals anywhere."""

from __future__ import annotations

from typing import Final, NamedTuple


class HeadStep(NamedTuple):
    """One Celery task, sent with `{"height": int, "key": str}` for each head and each epoch without one."""

    task: str
    """The task's name, as `messages.select`; it must be safe to run twice."""
    queue: str
    """One of `poolsite.celery.QUEUES`."""
    due: str = ""
    """Where the SQL question lies whose rows mean that the step finds work; empty: it always does."""


HEAD_STEPS: Final[tuple[HeadStep, ...]] = (
    HeadStep("chain.facts", "head"),
    HeadStep("messages.select", "messages", "apps.messages.due.SELECT"),
    HeadStep("pieces.tidy", "io", "apps.pieces.due.TIDY"),
    HeadStep("sectors.advance", "io", "apps.sectors.due.ADVANCE"),
    HeadStep("sectors.batch", "io", "apps.sectors.due.BATCH"),
    HeadStep("sectors.sweep", "io", "apps.sectors.due.SWEEP"),
    HeadStep("proving.submit", "proving", "apps.proving.due.POSTS"),
    HeadStep("proving.check", "io", "apps.proving.due.CHECKS"),
)
"""In this order."""

HEAD_FACTS: Final = (
    "messages.track",
    "miners.refresh",
    "sectors.active",
    "proving.refresh",
    "wallets.refresh",
)
"""Tasks that `chain.facts` carries out itself, in this order: sectors and windows go by what is read of
miners, and wallets come last, since ten thousand of them take a while."""
