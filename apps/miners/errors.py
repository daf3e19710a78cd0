"""Refusals about miners."""

from __future__ import annotations

from apps.core.errors import Conflict, NotFound
from apps.core.marked_texts import gettext


class MinerUnknown(NotFound):
    """No miner of this address, or not for this caller."""

    code = "miner_unknown"

    def __init__(self, address: str) -> None:
        text = gettext("there is no miner {address} here").format(address=address)
        super().__init__(text if address else gettext("choose a miner"), field="miner")


class MinerNotReady(Conflict):
    """The miner's actor does not exist yet."""

    code = "miner_not_ready"


class MinerTaken(Conflict):
    """The miner, or the message id, belongs to somebody else."""

    code = "miner_taken"


class MinerInUse(Conflict):
    """The pool works for the miner: its right does not move away from its sectors, messages and keys."""

    code = "miner_in_use"


class MinerMoved(Conflict):
    """Another tenant has the miner by now than the caller thought."""

    code = "miner_moved"


class TransferRefused(Conflict):
    """The miner cannot go to that tenant, or not now: the field says what stands in the way."""

    code = "transfer_refused"


class TransferKeyReused(Conflict):
    """The key was used for another transfer."""

    code = "key_reused"

    def __init__(self) -> None:
        super().__init__(gettext("this key was already used for a different transfer"), field="key")


class RoleUnknown(NotFound):
    """The host has no such role of the miner."""

    code = "role_unknown"

    def __init__(self, kind: str, host: str) -> None:
        super().__init__(
            gettext("host {host} does not have the role {kind} for this miner").format(host=host, kind=kind),
            field="host",
        )


class RoleOfGroup(Conflict):
    """The host has the role by its label: it goes with the label, or with the group's role."""

    code = "role_of_group"

    def __init__(self, host: str, group: str) -> None:
        reason = gettext(
            "{host} has it through group {group}: remove it from the group, or the host from the group"
        ).format(host=host, group=group)
        super().__init__(reason, field="host")


class RoleUnable(Conflict):
    """No worker on the host can do the work of the role."""

    code = "role_unable"


class RoleFenced(Conflict):
    """The lease was given to another host: what its old holder still does is refused."""

    code = "role_fenced"


class RoleBusy(Conflict):
    """Hosts are at work in roles that would move: the field says in which."""

    code = "tasks_in_progress"


class NoStandby(Conflict):
    """No other host that was heard of lately may take the role over."""

    code = "no_standby"


class RolesNotCombined(Conflict):
    """There is nothing to go back to."""

    code = "roles_not_combined"
