"""Refusals about terminations and extensions."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from apps.core.errors import Conflict, NotFound
from apps.core.marked_texts import gettext


class ChangeRefused(Conflict):
    """A sector cannot be terminated or extended so."""

    code = "change_refused"

    def __init__(self, reason: str, *, refused: Mapping[UUID, str] | None = None) -> None:
        self.refused = refused or {}
        """Each sector's own reason, where none of those that were named can be changed."""
        super().__init__(reason, field="sectors")


class ChangeSent(Conflict):
    """A change whose message was sent already cannot be cancelled."""

    code = "change_sent"


class ChangeUnknown(NotFound):
    """There is no such change of a sector, or not for this caller."""

    code = "change_unknown"

    def __init__(self, uuid: object) -> None:
        super().__init__(gettext("there is no change {uuid} here").format(uuid=uuid), field="change")
