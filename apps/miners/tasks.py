"""What a head moves here: miners on their way to the chain, and what the chain says of the others."""

from __future__ import annotations

import structlog
from celery import shared_task

from apps.chain.client import chain_client
from apps.chain.errors import NodeUnavailable
from apps.chain.selectors import head_current
from apps.miners.selectors import miners_active
from apps.miners.services import miner_refresh, miners_made

log = structlog.get_logger(__name__)


@shared_task(name="miners.refresh")
def miners_refresh(*, height: int, key: str) -> None:
    """Follow CreateMiner messages and read every miner at the newest head."""
    miners_made()
    head = head_current()
    at_height, at_key = (height, key) if head is None else (head.height, head.key)
    client = chain_client()
    for miner in miners_active():
        if miner.refreshed_height < at_height:
            try:
                miner_refresh(miner, client=client, height=at_height, key=at_key)
            except NodeUnavailable as error:
                # No other miner can be read either; the next head asks again.
                log.warning("miners_not_refreshed", height=at_height, reason=error.reason)
                return
