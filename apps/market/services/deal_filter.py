"""The filter of a miner's market: a URL of its people that accepts or refuses what the rules allow.

It is asked last, outside of any transaction, and may be asked again about the same proposal.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from typing import Any, Final
from urllib.parse import urlsplit

import structlog
from django.conf import settings

from apps.chain.node.public_hosts import HostNotPublic, PublicConnections, is_private_literal
from apps.chain.selectors.heads import head_current
from apps.core.connection_faults import fault_reason
from apps.core.errors import BadValue
from apps.core.marked_texts import gettext
from apps.core.reasons import Reason, as_reason
from apps.market.errors import DealBusy, DealRefused, RefusalKind
from apps.market.models import MinerMarket
from apps.market.reasons import FILTER_BUSY, FILTER_NOT_PUBLIC, FILTER_SAID, FILTER_SILENT, FILTER_STATUS
from apps.market.rules import Proposal
from apps.miners.models import Miner
from apps.pieces.data.sources import url_check, url_shown
from apps.users.rules.encryption import DecryptionFailed, text_decrypt

log = structlog.get_logger(__name__)

CONNECT_S: Final = 2.0
ANSWER_S: Final = 4.0
"""For all of it: clients of market 1.2 wait ten seconds for the whole decision."""
ANSWER_MAX: Final = 16 << 10
REASON_MAX: Final = 200
"""Characters of a reason that the client is told."""
SHOWN_MAX: Final = 300
ASKED_AT_ONCE: Final = 4
"""Proposals to one miner about which a process asks side by side; clients of further ones come again."""
REFUSED: Final = "Deal rejected by the provider"

_in_progress: Final[Counter[int]] = Counter()
"""How many are asked about now, by the miner's key.  (Module state: the limit is the process' own.)"""
_lock: Final = threading.Lock()


class FilterSilent(Exception):
    """The filter gave no answer that can be read."""

    def __init__(self, reason: Reason | str) -> None:
        self.reason = reason
        super().__init__(reason)


def filter_url_check(url: str) -> str:
    """Return a filter's URL as it is shown: its path or query may be a key.  Raises BadValue."""
    try:
        url_check(url)
    except BadValue as refusal:
        raise BadValue(refusal.reason, field="filter_url") from None
    parts = urlsplit(url)
    shown = f"{parts.scheme}://{parts.netloc}/…"
    if not url.isascii() or " " in url or len(shown) > SHOWN_MAX:
        raise BadValue(gettext("is not a valid URL"), field="filter_url")
    if not settings.ALERT_URLS_PRIVATE and is_private_literal(parts.hostname or ""):
        raise BadValue(
            gettext("enter a public address: this one is of a private network"), field="filter_url"
        )
    return shown


def proposal_filter(proposal: Proposal, *, miner: Miner, market: MinerMarket) -> Reason | str:
    """Send a proposal to the filter; returns why it goes on without an answer, empty where it has one.

    Raises DealRefused with the filter's reason; DealBusy without an answer, unless the miner accepts then.
    """
    if not market.filter_target:
        return ""
    with _turn(miner.pk):  # a client that keeps the filter busy does not get round it
        try:
            refusal = _answer_read(_ask(market, question_write(proposal, miner=miner)))
        except FilterSilent as silent:
            reason = FILTER_SILENT(reason=as_reason(silent.reason))
            log.warning("filter_silent", miner=str(miner), reason=str(silent.reason)[:200])
            if not market.accepts_unfiltered:
                raise DealBusy(reason) from None
            return reason
    if refusal:
        raise DealRefused(refusal, kind=RefusalKind.REJECTED)
    return ""


@contextmanager
def _turn(miner: int) -> Iterator[None]:
    """Count what is asked about a miner's proposals.  Raises DealBusy."""
    with _lock:
        if _in_progress[miner] >= ASKED_AT_ONCE:
            raise DealBusy(FILTER_BUSY(count=ASKED_AT_ONCE))
        _in_progress[miner] += 1
    try:
        yield
    finally:
        with _lock:
            _in_progress.subtract([miner])
            if not _in_progress[miner]:
                del _in_progress[miner]


def question_write(proposal: Proposal, *, miner: Miner) -> dict[str, Any]:
    """Return what a filter is asked: the client's URLs without what may be a key, and no headers."""
    head = head_current()
    terms = None if proposal.signed is None else proposal.signed.proposal
    return {
        "deal": str(proposal.uuid),
        "miner": miner.address,
        "client": proposal.client,
        "door": str(proposal.door),
        "height": None if head is None else head.height,
        "piece_cid": proposal.piece_cid,
        "padded_size": proposal.padded_size,
        "raw_size": proposal.piece.payload_size or None,
        "start_epoch": proposal.start_epoch,
        "duration": proposal.duration,
        "is_verified": proposal.is_verified,
        "allocation": proposal.allocation,
        "price_per_epoch": "0" if terms is None else str(terms.storage_price_per_epoch),
        "collateral": "0" if terms is None else str(terms.provider_collateral),
        "source": str(proposal.source),
        "urls": [url_shown(place.url) for place in proposal.places],
        "is_announced": proposal.is_announced,
    }


def _ask(market: MinerMarket, question: dict[str, Any]) -> bytes:
    """Return the body of the filter's answer.  Raises FilterSilent."""
    try:
        url = text_decrypt(market.filter_target)
    except DecryptionFailed as error:
        raise FilterSilent(str(error)) from None
    headers = {"User-Agent": "Poolsite", "Content-Type": "application/json", "Connection": "close"}
    connections = PublicConnections(url, headers, answer_max=ANSWER_MAX)
    try:
        status, body = connections.post(json.dumps(question).encode(), connect_s=CONNECT_S, answer_s=ANSWER_S)
    except HostNotPublic:
        raise FilterSilent(FILTER_NOT_PUBLIC()) from None
    except (OSError, HTTPException, ValueError) as error:
        raise FilterSilent(fault_reason(error)) from None
    finally:
        connections.close()
    if status != 200:
        raise FilterSilent(FILTER_STATUS(status=status))
    return body


def _answer_read(body: bytes) -> str:
    """Return why the filter refuses; empty where it accepts.  Raises FilterSilent."""
    try:
        answer = json.loads(body)
        is_accepted, reason = answer["accept"], answer.get("reason") or ""
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        raise FilterSilent(FILTER_SAID()) from None
    if not isinstance(is_accepted, bool) or not isinstance(reason, str):
        raise FilterSilent(FILTER_SAID())
    if is_accepted:
        return ""
    shown = "".join(letter if letter.isprintable() else " " for letter in reason[: 2 * REASON_MAX])
    return " ".join(shown.split())[:REASON_MAX] or REFUSED
