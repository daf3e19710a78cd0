"""Refusals about stores, their checks and scans, and the files in them."""

from __future__ import annotations

from collections.abc import Sequence

from apps.core.errors import BadValue, Conflict, NotFound
from apps.core.marked_texts import gettext


class StoreUnknown(NotFound):
    """No such store, or not for this caller."""

    code = "store_unknown"

    def __init__(self, uuid: object) -> None:
        super().__init__(gettext("there is no store {uuid} here").format(uuid=uuid), field="uuid")


class StoreAmbiguous(BadValue):
    """Several stores have this name."""

    code = "store_ambiguous"

    def __init__(self, name: str, uuids: Sequence[str]) -> None:
        reason = gettext("several stores are named {name}: use the ID of one, {ids}")
        super().__init__(reason.format(name=name, ids=", ".join(uuids)), field="uuid")


class CheckUnknown(NotFound):
    """No such check of a store."""

    code = "check_unknown"

    def __init__(self, uuid: object) -> None:
        super().__init__(gettext("there is no check {uuid} of this store").format(uuid=uuid), field="uuid")


class ScanUnknown(NotFound):
    """No such scan of a store."""

    code = "scan_unknown"

    def __init__(self, uuid: object) -> None:
        super().__init__(gettext("there is no scan {uuid} of this store").format(uuid=uuid), field="uuid")


class StoreRefused(Conflict):
    """A store cannot be changed, attached or detached so."""

    code = "store_refused"


class HostOrdersFull(StoreRefused):
    """A host is told of as many findings as it may be at a time: it can be asked later."""


class FilesNotRemovable(Conflict):
    """Files of these sectors are not removed."""

    code = "files_kept"
