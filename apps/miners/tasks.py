"""What a head moves here: miners on their way to the chain, and what the chain says of the others."""

from __future__ import annotations

from celery import shared_task

from apps.chain.apart import each_apart
from apps.chain.client import chain_client
from apps.chain.selectors import head_current
from apps.core.locks import lone
from apps.miners.selectors import miners_active
from apps.miners.services import miner_refresh, miners_made


@shared_task(name="miners.refresh")
@lone
def miners_refresh(*, height: int, key: str) -> None:
    """Follow CreateMiner messages and read every miner at the newest head."""
    miners_made()
    head = head_current()
    at_height, at_key = (height, key) if head is None else (head.height, head.key)
    client = chain_client()
    stale = [miner for miner in miners_active() if miner.refreshed_height < at_height]
    each_apart(
        stale,
        lambda miner: miner_refresh(miner, client=client, height=at_height, key=at_key),
        event="miner_not_refreshed",
    )
