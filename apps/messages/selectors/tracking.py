"""How far the chain was read for messages."""

from __future__ import annotations

from apps.chain.selectors.heads import head_current
from apps.messages.models import Tracker


def tracked_height() -> int:
    """Return the height of the newest head whose landings are written; -1 before the first."""
    height = Tracker.objects.values_list("height", flat=True).first()
    return -1 if height is None else height


def tracked_key() -> str:
    """Return the tipset up to which landings are written; before the first one the newest head.

    Questions about single messages go there: what only a later tipset has, a reorganisation could take back
    without the tracker knowing of it.
    """
    key = Tracker.objects.exclude(key="").values_list("key", flat=True).first()
    head = None if key else head_current()
    return key or ("" if head is None else head.key)
