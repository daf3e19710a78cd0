"""Asking the nodes about fast finality (F3) and our miners' part in it; pages share the answers for a while.

Source: lotus api/api_full.go F3IsRunning, F3GetProgress, F3ListParticipants, F3GetLatestCertificate.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Final

from django.core.cache import cache
from redis.exceptions import RedisError

from apps.blocks.reasons import RUNS_NO_F3, UNREADABLE
from apps.blocks.selectors.finality import F3_STATUS_KEY, F3Participation
from apps.blocks.services.finality import F3_CHANGE
from apps.blocks.services.finality_nodes import nodes_query
from apps.blocks.services.finality_tickets import DISABLED, refusal_code_read
from apps.chain.errors import NodeRefused, NodeUnavailable
from apps.chain.node.link import NodeLink
from apps.core.live import OPERATOR, Change, publish
from apps.core.reasons import fitted, quoted, refused

STORED_S: Final = 300
REASON_MAX: Final = 200
ANSWER_S: Final = 5.0


def f3_status_read(link: NodeLink, *, height: int | None = None) -> F3Participation:
    """Return what one node reports of F3, while the head has this height."""

    def ask(method: str) -> object:
        return link.call(method, [], timeout_s=ANSWER_S)

    try:
        if not ask("F3IsRunning"):
            return F3Participation(is_running=False)
        progress, participants = ask("F3GetProgress"), ask("F3ListParticipants")
        assert isinstance(progress, dict)
        assert isinstance(participants, list)
        return F3Participation(
            is_running=True,
            instance=int(progress["ID"]),
            miners=tuple(int(one["MinerID"]) for one in participants),
            finalized=_finalized(link),
            head_height=height,
        )
    except NodeRefused as refusal:
        is_without = refusal.is_unknown_method or refusal_code_read(refusal) == DISABLED
        reason = RUNS_NO_F3() if is_without else quoted(refusal.reason[:REASON_MAX], by="node")
        return F3Participation(is_running=False, reason=reason)
    except NodeUnavailable as error:
        return F3Participation(is_running=False, reason=fitted(refused(error), REASON_MAX))
    except (AssertionError, KeyError, TypeError, ValueError):
        return F3Participation(is_running=False, reason=UNREADABLE())


def _finalized(link: NodeLink) -> int | None:
    """Return the height that the newest certificate makes final; None without one."""
    try:
        certificate = link.call("F3GetLatestCertificate", [], timeout_s=ANSWER_S)
    except (NodeRefused, NodeUnavailable):
        return None
    chain = certificate.get("ECChain") if isinstance(certificate, dict) else None
    return int(chain[-1]["Epoch"]) if chain else None


def f3_statuses_store(links: Mapping[str, NodeLink], *, height: int) -> None:
    """Read what the nodes report of F3, and store it for the pages; the head has this height."""
    answers = nodes_query(links.values(), request=partial(f3_status_read, height=height))
    # Pages show nothing of F3 then, as before the first report.
    with suppress(RedisError, OSError):
        cache.set(F3_STATUS_KEY, dict(zip(links, answers, strict=True)), STORED_S)
    publish(Change(F3_CHANGE, "nodes", OPERATOR))
