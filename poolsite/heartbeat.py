"""What happens on a new head: an ordered table of steps that the follower enqueues; no signals anywhere."""

from __future__ import annotations

from typing import Final, NamedTuple


class HeadStep(NamedTuple):
    """One Celery task, sent with `{"height": int, "key": str}` for each head and each epoch without one."""

    task: str
    """The task's name, as `messages.track`; it must be safe to run twice."""
    queue: str
    """One of `poolsite.celery.QUEUES`."""


HEAD_STEPS: Final[tuple[HeadStep, ...]] = (
    HeadStep("messages.track", "head"),
    HeadStep("messages.select", "messages"),
    HeadStep("wallets.refresh", "head"),
    HeadStep("miners.refresh", "head"),
    HeadStep("sectors.advance", "io"),
    HeadStep("sectors.batch", "io"),
    HeadStep("sectors.sweep", "io"),
    HeadStep("proving.refresh", "proving"),
    HeadStep("proving.schedule", "proving"),
    HeadStep("proving.submit", "proving"),
)
"""In this order."""
