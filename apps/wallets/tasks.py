"""What a head makes due for wallets."""

from __future__ import annotations

import structlog
from celery import shared_task

from apps.chain.errors import NodeUnavailable
from apps.chain.node.client import chain_client
from apps.core import clock
from apps.wallets.services.refresh import wallets_refresh

log = structlog.get_logger(__name__)


@shared_task(name="wallets.refresh")
def refresh(height: int, key: str) -> None:  # noqa: ARG001  # every head step gets the tipset's key
    """Find new keys, ask the chain for balances and nonces."""
    try:
        wallets_refresh(client=chain_client(), now=clock.now())
    except NodeUnavailable as error:
        log.warning("wallets_not_refreshed", height=height, reason=error.reason)
