"""What the nodes say of fast finality (F3) and of our miners' part in it; shared with the pages for a while.

Source: lotus api/api_full.go F3IsRunning, F3GetProgress, F3ListParticipants, F3GetLatestCertificate.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from django.core.cache import cache
from django.utils.translation import gettext
from redis.exceptions import RedisError

from apps.blocks.services.finality import F3_CHANGE
from apps.blocks.services.finality_nodes import ask_all
from apps.blocks.services.finality_tickets import DISABLED, refusal_code
from apps.chain.errors import NodeRefused, NodeUnavailable
from apps.core.live import OPERATOR, Change, publish

if TYPE_CHECKING:
    from collections.abc import Mapping

    from apps.chain.node.link import NodeLink

KEY: Final = "blocks-f3-2"
"""Numbered by the form of what it keeps: what an older release kept is not read."""
KEPT_S: Final = 300
ANSWER_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class F3Participation:
    """One node's part in F3."""

    is_running: bool
    instance: int = 0
    """The instance that it works on."""
    miners: tuple[int, ...] = ()
    """Numbers of the actors that it takes part for."""
    reason: str = ""
    finalized: int | None = None
    """Height of the newest tipset with a certificate; None where the node has none yet."""
    asked_height: int | None = None
    """Height of the head when it was asked."""


def f3_ask(link: NodeLink, *, height: int | None = None) -> F3Participation:
    """Ask one node, while the head has this height."""

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
            asked_height=height,
        )
    except NodeRefused as refusal:
        is_without = refusal.is_unknown_method or refusal_code(refusal) == DISABLED
        reason = gettext("this node does not run F3") if is_without else refusal.reason
        return F3Participation(is_running=False, reason=reason[:200])
    except NodeUnavailable as error:
        return F3Participation(is_running=False, reason=error.reason[:200])
    except (AssertionError, KeyError, TypeError, ValueError):
        return F3Participation(is_running=False, reason=gettext("the node's response could not be parsed"))


def _finalized(link: NodeLink) -> int | None:
    """Return the height that the newest certificate makes final; None without one."""
    try:
        certificate = link.call("F3GetLatestCertificate", [], timeout_s=ANSWER_S)
    except (NodeRefused, NodeUnavailable):
        return None
    chain = certificate.get("ECChain") if isinstance(certificate, dict) else None
    return int(chain[-1]["Epoch"]) if chain else None


def f3_share(links: Mapping[str, NodeLink], *, height: int) -> None:
    """Ask the nodes and keep what they say for the pages; the head has this height."""
    answers = ask_all(links.values(), ask=partial(f3_ask, height=height))
    with suppress(RedisError, OSError):
        cache.set(KEY, dict(zip(links, answers, strict=True)), KEPT_S)
    publish(Change(F3_CHANGE, "nodes", OPERATOR))


def f3_read() -> dict[str, F3Participation]:
    """Return what the nodes said last, by their names; empty while no service asks."""
    with suppress(RedisError, OSError):
        said: dict[str, F3Participation] = cache.get(KEY) or {}
        return said
    return {}
