"""What a head moves here: miners on their way to the chain, and what the chain says of the others."""

from __future__ import annotations

from celery import shared_task

from apps.chain.client import chain_client
from apps.chain.isolation import for_each_isolated
from apps.chain.selectors import head_current, network_current
from apps.core.locks import single_flight
from apps.miners.selectors import miners_active
from apps.miners.services.create import creations_follow
from apps.miners.services.refresh import miners_refresh as miners_refresh_all
from apps.miners.services.refresh import reward_estimate_refresh


@shared_task(name="miners.refresh")
@single_flight
def miners_refresh(*, height: int, key: str) -> None:
    """Follow CreateMiner messages and read every miner at the newest head."""
    creations_follow()
    head = head_current()
    at_height, at_key = (height, key) if head is None else (head.height, head.key)
    stale = [miner for miner in miners_active() if miner.refreshed_height < at_height]
    if not stale:
        return
    client, params = chain_client(), network_current().proving
    miners_refresh_all(stale, client=client, height=at_height, key=at_key, params=params)
    for_each_isolated(
        [at_height],
        lambda at: reward_estimate_refresh(client=client, height=at, key=at_key),
        event="reward_not_refreshed",
    )
