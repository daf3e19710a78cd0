"""Checks of clients' deals."""

from __future__ import annotations

from collections.abc import Iterator

from django.utils.translation import gettext as say

from apps.checks.findings.results import Finding, Link
from apps.checks.selectors.data import CheckData
from apps.core.stored_texts import stored_text


def doors_down(data: CheckData) -> Iterator[Finding]:
    """Libp2p doors that are switched on and do not answer: clients propose no deals."""
    for market, status in data.doors_down:
        miner = market.miner
        yield Finding(
            f"door-{miner.address}",
            say("the door of {miner} does not answer").format(miner=miner.address),
            stored_text(status.reason),
            link=Link("miner-market", (miner.address or "",)),
        )
