"""Reading tipsets: the newest head, those of our chain, those that a reorganisation took back."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from itertools import islice
from typing import Final

from apps.chain.models import Follower, Head
from apps.core.compiled import Compiled

REPLACED_MAX: Final = 400
"""Newest tipsets no more on our chain, among which those are found that a reorganisation took back."""


HEAD_CURRENT: Final[Compiled[Head]] = Compiled(
    "head_current", lambda: Head.objects.filter(pk__in=Follower.objects.order_by("pk").values("head_id")[:1])
)
HEAD_BY_KEY: Final[Compiled[Head]] = Compiled(
    "head_by_key", lambda key: Head.objects.filter(key=key), key="text"
)


def head_current() -> Head | None:
    """Return the newest head of our chain; None before the first one."""
    return next(iter(HEAD_CURRENT.rows()), None)


def head_by_key(key: str) -> Head | None:
    """Return a tipset of our table, on our chain or not."""
    return next(iter(HEAD_BY_KEY.rows(key=key)), None)


def heads_recent(count: int = 60) -> list[Head]:
    """Return the newest heads of our chain, newest first."""
    return list(Head.objects.filter(is_canonical=True).order_by("-height")[:count])


def head_at(height: int) -> Head | None:
    """Return our chain's tipset at a height, or before it where the round was null; None if none is kept."""
    return Head.objects.filter(is_canonical=True, height__lte=height).order_by("-height").first()


def head_after(height: int) -> Head | None:
    """Return our chain's next tipset above a height; None at the head."""
    return Head.objects.filter(is_canonical=True, height__gt=height).order_by("height").first()


def head_arrived_by(at: datetime) -> Head | None:
    """Return our chain's newest tipset that had arrived at a moment; None if none is kept."""
    return Head.objects.filter(is_canonical=True, arrived_at__lte=at).order_by("-height").first()


def head_since(at: datetime, *, above: int) -> Head | None:
    """Return our chain's first tipset of a moment or later, above a height; None if there is none yet."""
    rows = Head.objects.filter(is_canonical=True, height__gt=above, timestamp__gte=at.timestamp())
    return rows.order_by("height").first()


def head_exactly_at(height: int) -> Head | None:
    """Return our chain's tipset at a height; None if the round was null or is not kept."""
    return Head.objects.filter(is_canonical=True, height=height).first()


def head_above(head: Head) -> Head | None:
    """Return our chain's tipset that executed the messages of another one."""
    return Head.objects.filter(is_canonical=True, parent_key=head.key).first()


def heads_taken_back(count: int) -> list[Head]:
    """Return the tipsets that a reorganisation took back, newest first.

    A head that further blocks of its height joined was replaced by a tipset with all its blocks.
    """
    replaced = Head.objects.filter(is_canonical=False).order_by("-height", "-arrived_at")[:REPLACED_MAX]
    blocks: defaultdict[int, list[set[str]]] = defaultdict(list)
    same = Head.objects.filter(height__in={head.height for head in replaced})
    for height, cids in same.values_list("height", "cids"):
        blocks[height].append(set(cids))
    lost = (head for head in replaced if not any(set(head.cids) < other for other in blocks[head.height]))
    return list(islice(lost, count))


def heads_late_s(count: int, *, epoch_s: int) -> float | None:
    """Return how long after its time the quickest of the newest heads came, in seconds.

    None while there are fewer, and while nodes catch up: then heads come faster than epochs pass.
    """
    rows = Head.objects.filter(is_canonical=True).order_by("-height").values_list("timestamp", "arrived_at")
    found = [(bears, at.timestamp()) for bears, at in rows[:count]]
    if len(found) < count:
        return None
    (last, last_at), (first, first_at) = found[0], found[-1]
    if abs((last_at - first_at) - (last - first)) > epoch_s:
        return None
    return min(at - bears for bears, at in found)
