"""What a head moves here: miners on their way to the chain, and what the chain says of the others."""

from __future__ import annotations

from celery import shared_task

from apps.chain.apart import each_apart
from apps.chain.client import chain_client
from apps.chain.selectors import head_current
from apps.core.locks import lone
from apps.miners import services
from apps.miners.selectors import miners_active


@shared_task(name="miners.refresh")
@lone
def miners_refresh(*, height: int, key: str) -> None:
    """Follow CreateMiner messages and read every miner at the newest head."""
    services.miners_made()
    head = head_current()
    at_height, at_key = (height, key) if head is None else (head.height, head.key)
    stale = [miner for miner in miners_active() if miner.refreshed_height < at_height]
    client = chain_client()
    services.miners_refresh(stale, client=client, height=at_height, key=at_key)
    if stale:
        each_apart(
            [at_height],
            lambda at: services.reward_estimate_refresh(client=client, height=at, key=at_key),
            event="reward_not_refreshed",
        )
