"""Kills before and after each step of a message."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.messaging import Pool


class Kill(BaseException):
    """The end of a process."""


def killed(_real: Callable[..., Any]) -> Callable[..., Any]:
    """Die before the call."""

    def instead(*_args: Any, **_kwargs: Any) -> Any:
        raise Kill

    return instead


def killed_after(real: Callable[..., Any]) -> Callable[..., Any]:
    """Die when the call has done its work."""

    def instead(*args: Any, **kwargs: Any) -> Any:
        real(*args, **kwargs)
        raise Kill

    return instead


POINTS: list[tuple[str, str, str, Any]] = [
    ("before the estimate", "apps.messages.services.estimate_rounds", "messages_estimate", killed),
    ("after the estimate", "apps.messages.services.estimate_rounds", "messages_estimate", killed_after),
    ("before signing", "apps.messages.services.sign", "messages_sign", killed),
    ("after signing, before the commit", "apps.messages.services.sign", "messages_sign", killed_after),
    ("inside the transaction", "apps.messages.services.selection_results", "messages_advance", killed_after),
    (
        "after nonce and signature, before publishing",
        "apps.messages.services.select",
        "filled_store",
        killed_after,
    ),
    ("before the node hears of it", "apps.messages.services.publish", "_send", killed),
    ("after publishing, before the commit", "apps.messages.services.publish", "_result_store", killed),
    ("after publishing and its commit", "apps.messages.services.publish", "_result_store", killed_after),
    ("before the receipts are read", "apps.messages.services.track", "executed_read", killed),
    ("after the receipts were read", "apps.messages.services.track", "executed_read", killed_after),
    ("inside the landing's transaction", "apps.messages.services.landings", "messages_advance", killed_after),
    ("between landing and the tracker's place", "apps.messages.services.track", "_place", killed),
]


def heads(pool: Pool, count: int) -> None:
    """Choose on the head that is there, then let heads come."""
    pool.choose()
    for _ in range(count):
        pool.step()
