"""Refusals about automatic rules."""

from __future__ import annotations

from apps.core.errors import NotFound
from apps.core.marked_texts import gettext


class RuleUnknown(NotFound):
    """No rule of this UUID, or not for this caller."""

    code = "rule_unknown"

    def __init__(self) -> None:
        super().__init__(gettext("there is no such rule"))
