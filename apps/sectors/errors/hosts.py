"""Refusals about hosts: which start of a worker speaks, its commands and settings."""

from __future__ import annotations

from collections.abc import Sequence

from apps.core.errors import BadValue, Conflict, NotFound
from apps.core.marked_texts import gettext


class WorkerUnknown(NotFound):
    """No such worker, or not for this caller."""

    code = "worker_unknown"

    def __init__(self, uuid: object) -> None:
        super().__init__(gettext("there is no worker {uuid} here").format(uuid=uuid), field="worker_id")


class WorkerAmbiguous(BadValue):
    """Several workers have this name."""

    code = "worker_ambiguous"

    def __init__(self, name: str, uuids: Sequence[str]) -> None:
        reason = gettext("several hosts are named {name}: use the ID of one, {ids}")
        super().__init__(reason.format(name=name, ids=", ".join(uuids)), field="worker_id")


class WorkerBusy(Conflict):
    """The host is online and has sectors in progress, whose files no other host has."""

    code = "worker_busy"

    def __init__(self, worker: object, sectors: str) -> None:
        reason = gettext("{worker} is online with {sectors} in progress: retire it once it is drained")
        super().__init__(reason.format(worker=worker, sectors=sectors), field="force")


class WorkerReplaced(Conflict):
    """Another start of this worker has registered since."""

    code = "worker_replaced"

    def __init__(self) -> None:
        super().__init__(gettext("a newer instance of this worker has registered"), field="boot_id")


class WorkerRetired(Conflict):
    """The operator has taken the worker out of service."""

    code = "worker_retired"

    def __init__(self, name: str) -> None:
        super().__init__(gettext("worker {name} was retired").format(name=name), field="worker_id")


class UpgradeUnknown(Conflict):
    """The host runs a version that cannot read this command, nor the rest of an answer with it."""

    code = "upgrade_unknown"

    def __init__(self, name: str, version: str) -> None:
        super().__init__(
            gettext(
                "{name} runs {version}, which does not support this command: restart its service "
                "manually once, with the version of this console"
            ).format(name=name, version=version),
            field="op",
        )


class BadSettings(BadValue):
    """A host cannot obey such settings."""

    code = "bad_settings"

    def __init__(self, reason: str) -> None:
        super().__init__(reason, field="values")
