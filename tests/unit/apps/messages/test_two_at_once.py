"""Two workers or people at one message or sender at the same moment, each on its own connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from apps.messages.models import Message
from apps.messages.services.publish import messages_publish
from apps.messages.services.replace import message_replace
from apps.messages.services.replacement_fees import NewFees
from apps.messages.services.select import sender_select

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.messaging import Pool

pytestmark = pytest.mark.django_db(transaction=True)


def signed_unpublished(pool: Pool) -> str:
    """Have one message signed that no node has yet; returns its sender."""
    address = pool.address()
    pool.push("one", address)
    sender_select(address=address, head=pool.head, client=pool.client, now=pool.now)
    return address


def test_fee_raised_during_the_first_publication_reaches_nodes(
    pool: Pool, beside: Callable[..., list[Any]]
) -> None:
    address = signed_unpublished(pool)
    first = pool.row("one")

    def replace() -> Message:
        return message_replace(
            message=first, fees=NewFees(), client=pool.client, head=pool.head, now=pool.now
        )

    beside(
        lambda: messages_publish([first.pk], now=pool.now),
        "apps.messages.services.publish.publishing_nodes_list",
        replace,
        watched_s=20,
    )
    messages_publish([first.pk], now=pool.now)

    newest = pool.row("one")
    assert newest.gas_premium > first.gas_premium
    assert str(pool.node.pool[(address, 0)].cid) == newest.cid
    assert newest.published_at is not None
