"""What a head moves here: downloads, commitments, uploads that nobody ends, deliveries."""

from __future__ import annotations

from celery import shared_task

from apps.core import clock
from apps.core.locks import single_flight
from apps.pieces.services.deliveries import deliveries_send
from apps.pieces.services.fetches import pieces_fetch
from apps.pieces.services.indexes import indexes_update
from apps.pieces.services.retention import pieces_tidy


@shared_task(name="pieces.tidy")
@single_flight
def pieces_tidy_task(*, height: int, key: str) -> None:  # noqa: ARG001  # what the follower sends
    """Compute commitments, clear away."""
    pieces_tidy(now=clock.now())


@shared_task(name="pieces.fetch")
@single_flight
def pieces_fetch_task(*, height: int, key: str) -> None:  # noqa: ARG001  # what the follower sends
    """Download: beside the rest, as a source may be slow."""
    pieces_fetch()


@shared_task(name="pieces.index")
@single_flight
def pieces_index_task(*, height: int, key: str) -> None:  # noqa: ARG001  # what the follower sends
    """Index the blocks of CARs: beside the rest, as a large one takes a minute."""
    indexes_update(now=clock.now())


@shared_task(name="pieces.deliver")
@single_flight
def pieces_deliver_task(*, height: int, key: str) -> None:  # noqa: ARG001  # what the follower sends
    """Send what markets want: beside the rest, as one of them may be slow."""
    deliveries_send(now=clock.now())
