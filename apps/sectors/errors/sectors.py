"""Refusals about sectors, and about going on with one that stopped."""

from __future__ import annotations

from apps.core.errors import Conflict, NotFound
from apps.core.marked_texts import gettext


class SectorUnknown(NotFound):
    """No such sector, or not for this caller."""

    code = "sector_unknown"

    def __init__(self, uuid: object) -> None:
        super().__init__(gettext("there is no sector {uuid} here").format(uuid=uuid), field="sector")


class NotPaused(Conflict):
    """The sector is not paused, so there is nothing to go on from."""

    code = "not_paused"


class CommitOnItsWay(Conflict):
    """The sector is not aborted: its commit may still land, and its files are needed then."""

    code = "commit_on_its_way"


class PreCommitOnItsWay(Conflict):
    """The sector gets no other ticket: its pre-commit may still land, and is of this replica."""

    code = "precommit_on_its_way"


class FailureUnknown(NotFound):
    """No paused sector has this fingerprint."""

    code = "failure_unknown"

    def __init__(self, key: str) -> None:
        super().__init__(
            gettext("no failed sector has the fingerprint {key}").format(key=key[:40]), field="fingerprint"
        )


class NothingWaits(Conflict):
    """Nothing is there that could be sent."""

    code = "nothing_waits"


class RestoreRefused(Conflict):
    """A sector stays given up."""

    code = "restore_refused"
