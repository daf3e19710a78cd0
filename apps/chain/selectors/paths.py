"""The way between two tipsets: what left the chain and what joined it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from apps.chain.selectors.heads import head_by_key

if TYPE_CHECKING:
    from apps.chain.models import Head

    pass


@dataclass(frozen=True, slots=True)
class ChainPath:
    """The way between two tipsets of our table."""

    reverted: tuple[Head, ...]
    """Newest first."""
    applied: tuple[Head, ...]
    """Oldest first."""
    is_complete: bool
    """False if the two do not meet within the table: what lies between must be asked of the node."""
    common: Head | None = None
    """Where the two meet."""


def path_between(old_key: str, head: Head) -> ChainPath:
    """Return what left and what joined the chain between a reader's last tipset and `head`."""
    old = head_by_key(old_key)
    reverted: list[Head] = []
    applied: list[Head] = []
    above: Head | None = head
    while above is not None:
        if old is not None and old.key == above.key:
            return ChainPath(tuple(reverted), tuple(applied[::-1]), is_complete=True, common=old)
        if old is not None and old.height >= above.height:
            reverted.append(old)
            old = head_by_key(old.parent_key)
            continue
        applied.append(above)
        if above.is_after_gap:
            break
        below = old if old is not None and old.key == above.parent_key else None
        above = below or head_by_key(above.parent_key)
    return ChainPath(tuple(reverted), tuple(applied[::-1]), is_complete=False)
