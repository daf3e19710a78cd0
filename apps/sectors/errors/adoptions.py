"""Refusals about adoptions of a miner's sectors."""

from __future__ import annotations

from apps.core.errors import Conflict, NotFound
from apps.core.marked_texts import gettext


class AdoptionUnknown(NotFound):
    """No such adoption, or not for this caller."""

    code = "adoption_unknown"

    def __init__(self, uuid: object) -> None:
        super().__init__(gettext("there is no adoption {uuid} of this miner").format(uuid=uuid), field="uuid")


class AdoptionRefused(Conflict):
    """Nothing can be adopted so."""

    code = "adoption_refused"
