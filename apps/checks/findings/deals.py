"""Checks of clients' deals."""

from __future__ import annotations

from collections.abc import Iterator

from django.utils.http import urlencode
from django.utils.translation import gettext

from apps.checks.findings.results import Finding, Link
from apps.checks.selectors.data import CheckData
from apps.core.formatting import plural, shortened
from apps.core.languages import colon_text
from apps.core.stored_texts import stored_text


def deals_late(data: CheckData) -> Iterator[Finding]:
    """Accepted deals that start within a day and have no data, or are not published: then they fail."""
    if data.clock is None:
        return
    for miner, (count, first) in data.deals_starting.items():
        yield Finding(
            f"deals-{miner.address}",
            gettext("{deals} of {miner} due within 24 h").format(
                deals=plural(count, "deal"), miner=miner.address
            ),
            gettext("data or a published message are awaited; after its start epoch a deal fails"),
            link=Link("deals", query=urlencode({"miner": miner.address})),
            count=count,
            due_s=data.clock.starts_at(first),
            due_label=gettext("until the first start epoch"),
        )


def doors_down(data: CheckData) -> Iterator[Finding]:
    """Libp2p doors that are switched on and do not answer: clients propose no deals."""
    for market, status in data.doors_down:
        miner = market.miner
        yield Finding(
            f"door-{miner.address}",
            gettext("the door of {miner} does not answer").format(miner=miner.address),
            stored_text(status.reason),
            link=Link("miner-market", (miner.address or "",)),
        )


def indexes_wrong(data: CheckData) -> Iterator[Finding]:
    """Block indexes of which a daily sample found blocks that are not in their piece: nobody gets those."""
    for index in data.indexes_wrong:
        piece = index.piece
        yield Finding(
            f"index-{piece.uuid}",
            gettext("blocks of piece {piece} of {miner} cannot be retrieved").format(
                piece=shortened(piece.piece_cid), miner=piece.miner.address
            ),
            colon_text(
                stored_text(index.reason), gettext("index it again; if that finds damage, unseal it again")
            ),
            link=Link("pieces", query=urlencode({"q": str(piece.uuid)})),
        )
