"""What a head moves here: miners on their way to the chain, and what the chain says of the others."""

from __future__ import annotations

import structlog
from celery import shared_task

from apps.chain.errors import NodeUnavailable
from apps.chain.node.client import chain_client
from apps.chain.selectors.heads import head_current
from apps.chain.selectors.network import network_current
from apps.core import clock
from apps.core.locks import single_flight
from apps.miners.selectors.miners import miners_active_now
from apps.miners.services.creation_results import creations_follow
from apps.miners.services.days import miner_days_record
from apps.miners.services.refresh import miners_refresh as miners_refresh_all
from apps.miners.services.refresh import reward_estimate_refresh

log = structlog.get_logger(__name__)


@shared_task(name="miners.refresh")
@single_flight
def miners_refresh(*, height: int, key: str) -> None:
    """Follow CreateMiner messages and read every miner at the newest head."""
    creations_follow()
    head = head_current()
    at_height, at_key = (height, key) if head is None else (head.height, head.key)
    stale = [miner for miner in miners_active_now() if miner.refreshed_height < at_height]
    if not stale:
        return
    params = network_current().proving
    miners_refresh_all(stale, client=chain_client(), height=at_height, key=at_key, params=params)


@shared_task(name="miners.estimates")
def miners_estimates(*, height: int, key: str) -> None:
    """Read the chain's estimates of reward and power, if they are old."""
    try:
        reward_estimate_refresh(client=chain_client(), height=height, key=key)
    except NodeUnavailable as error:
        log.warning("reward_not_refreshed", height=height, reason=error.reason[:300])


@shared_task(name="miners.days")
def miners_days(**_head: object) -> None:
    """Write down what miners held as the day began, once that is settled."""
    miner_days_record(miners_active_now(), client=chain_client(), now=clock.now())
