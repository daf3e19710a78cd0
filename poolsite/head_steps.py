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
    HeadStep("pieces.fetch", "io", "apps.pieces.due.FETCH"),
    HeadStep("pieces.index", "io", "apps.pieces.due.INDEX"),
    HeadStep("pieces.deliver", "io", "apps.pieces.due.DELIVER"),
    HeadStep("market.advance", "io", "apps.market.due.DEALS"),
    HeadStep("market.join", "io", "apps.market.due.JOINS"),
    HeadStep("market.advertise", "io", "apps.market.due.ADVERTISEMENTS"),
    HeadStep("sectors.advance", "io", "apps.sectors.due.ADVANCE"),
    HeadStep("sectors.batch", "io", "apps.sectors.due.BATCH"),
    HeadStep("sectors.sweep", "io", "apps.sectors.due.SWEEP"),
    HeadStep("sectors.scans", "io", "apps.sectors.due.SCANS"),
    HeadStep("sectors.adopt", "io", "apps.sectors.due.ADOPT"),
    HeadStep("sectors.allocations", "io", "apps.sectors.due.ALLOCATIONS"),
    HeadStep("proving.submit", "proving", "apps.proving.due.POSTS"),
    HeadStep("proving.check", "io", "apps.proving.due.CHECKS"),
    HeadStep("automation.step", "io", "apps.automation.due.RULES"),
    HeadStep("blocks.charges", "io", "apps.blocks.due.CHARGES"),
)
"""In this order."""


class HeadFact(NamedTuple):
    """One task that `chain.facts` carries out itself at each head."""

    task: str
    due: str = ""
    """Where the SQL question lies whose rows mean that it finds work; empty: it always does."""


HEAD_FACTS: Final[tuple[HeadFact, ...]] = (
    HeadFact("messages.track"),
    HeadFact("miners.refresh"),
    HeadFact("miners.estimates", "apps.miners.due.ESTIMATES"),
    HeadFact("sectors.active", "apps.sectors.due.ACTIVE"),
    HeadFact("proving.refresh", "apps.proving.due.REFRESH"),
    HeadFact("miners.days", "apps.miners.due.DAYS"),
    HeadFact("wallets.refresh", "apps.wallets.due.REFRESH"),
)
"""In this order: sectors and windows go by what is read of miners, and wallets come last, since ten thousand
of them take a while.  The questions are asked together, before the first that has one."""
