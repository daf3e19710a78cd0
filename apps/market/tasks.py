"""What a head moves here: deals whose data are to come, or whose piece has gone on."""

from __future__ import annotations

from celery import shared_task

from apps.chain.heads.steps import EVERY_STEP_EPOCHS
from apps.chain.node.client import chain_client
from apps.chain.selectors.heads import head_current
from apps.core import clock
from apps.core.locks import single_flight
from apps.market.selectors.deals import WHOLE_EPOCHS
from apps.market.services.advertisements import advertisements_advance
from apps.market.services.counts import counts_add_up
from apps.market.services.earnings import earnings_record, settlements_read
from apps.market.services.follow import deals_advance, deals_join
from apps.market.services.publishing import deals_publish
from apps.market.services.settling import settlements_advance
from apps.market.services.transfers import chunks_sweep
from apps.messages.selectors.recovery import recovery_now


@shared_task(name="market.advance")
@single_flight
def market_advance(*, height: int, key: str) -> None:  # noqa: ARG001  # what the follower sends
    """Start downloads, publish and settle deals, and note how far they have come."""
    counts_add_up()
    deals_advance(height=height, now=clock.now())
    earnings_record(height=height, now=clock.now())
    head = head_current()
    if head is not None and recovery_now() is None:  # what was sent before is not read back yet
        deals_publish(client=chain_client(), head=head, now=clock.now())
        settlements_advance(client=chain_client(), head=head, now=clock.now())
        settlements_read(chain_client(), height=head.height, key=head.key)


@shared_task(name="market.join")
@single_flight
def market_join(*, height: int, key: str) -> None:  # noqa: ARG001  # what the follower sends
    """Put the uploads together whose chunks are all here; once a day remove chunks that nobody awaits."""
    deals_join()
    if height % WHOLE_EPOCHS < EVERY_STEP_EPOCHS:
        chunks_sweep(now=clock.now())


@shared_task(name="market.advertise")
@single_flight
def market_advertise(*, height: int, key: str) -> None:  # noqa: ARG001  # what the follower sends
    """Advertise what can be retrieved to indexers, and take back what cannot."""
    advertisements_advance(now=clock.now())
