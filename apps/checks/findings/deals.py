"""Checks of clients' deals."""

from __future__ import annotations

from collections.abc import Iterator

from django.utils.http import urlencode

from apps.checks import reasons
from apps.checks.findings.results import Finding, Link
from apps.checks.selectors.data import CheckData
from apps.core.formatting import shortened
from apps.core.reasons import as_reason, colon, counted


def deals_late(data: CheckData) -> Iterator[Finding]:
    """Deals that start within a day without data or message, or that will be sealed after their start."""
    if data.clock is None:
        return
    for miner, (count, first) in data.deals_starting.items():
        yield Finding(
            f"deals-{miner.address}",
            reasons.DEALS_DUE(deals=counted(count, "deal"), miner=miner.address),
            reasons.DEALS_AWAIT(),
            link=Link("deals", query=urlencode({"miner": miner.address})),
            count=count,
            due_s=data.clock.starts_at(first),
            due_label=reasons.UNTIL_START(),
        )
    for miner, late in data.deals_unsealed.items():
        yield Finding(
            f"deals-unsealed-{miner.address}",
            reasons.DEALS_SEALED_LATE(deals=counted(late.count, "deal"), miner=miner.address),
            reasons.DEALS_COLLATERAL(start=late.start, expected=late.expected),
            link=Link("deals", query=urlencode({"miner": miner.address})),
            count=late.count,
            due_s=data.clock.starts_at(late.start),
            due_label=reasons.UNTIL_START(),
        )


def doors_down(data: CheckData) -> Iterator[Finding]:
    """Libp2p doors that are switched on and do not answer: clients propose no deals."""
    for market, status in data.doors_down:
        miner = market.miner
        yield Finding(
            f"door-{miner.address}",
            reasons.DOOR_DOWN(miner=miner.address),
            as_reason(status.reason),
            link=Link("miner-market", (miner.address or "",)),
        )


def indexes_wrong(data: CheckData) -> Iterator[Finding]:
    """Block indexes that could not be made, or of which a daily sample found blocks not in their piece."""
    for index in data.indexes_wrong:
        piece = index.piece
        yield Finding(
            f"index-{piece.uuid}",
            reasons.INDEX_WRONG(piece=shortened(piece.piece_cid), miner=piece.miner.address),
            colon(as_reason(index.reason), reasons.INDEX_AGAIN()),
            link=Link("pieces", query=urlencode({"q": str(piece.uuid)})),
        )
