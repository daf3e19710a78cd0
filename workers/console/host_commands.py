"""What the console's commands do on a host: pause and drain, settings, upgrades, orders for stores."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import structlog

from poolsite.wire.commands import STORE_OPERATIONS, Operation
from poolsite.wire.hosts import VERSION
from workers.console.host_report import ERROR_MAX

if TYPE_CHECKING:
    from poolsite.wire.commands import Command
    from workers.host_settings import HostSettings
    from workers.store_watch import StoreWatch

log = structlog.get_logger(__name__)

RESET_DRIVES: Final = "reset-drives: "
"""Begin of the error of an order to begin anew on the drives; a later one that succeeds takes it back."""


class HostCommands:
    """Carries out what the console commands, until the console knows that it is done."""

    def __init__(self, slots: dict[str, int]) -> None:
        self.slots = slots
        self.settings: HostSettings | None = None
        """What the console may set; None: nothing."""
        self.disks_measure: Callable[[], None] = _nothing
        self.watch: StoreWatch | None = None
        self.files_remove: Callable[[Command], bool] = _nothing_here
        """Removes an aborted sector's files; gives whether they are gone."""
        self.stage_end: Callable[[Command], bool] = _nothing_here
        """Ends what computes a job's stage."""
        self.leftover_remove: Callable[[Command], str | None] = _no_sealing
        """Removes a leftover of sealing; gives None while it does, then why it could not, or nothing."""
        self.drives_reset: Callable[[Command], str | None] = _no_sealing
        """Begins anew on the drives for layers; answers as `leftover_remove`."""
        self.is_paused = self.is_draining = self.is_upgrading = False
        self.last_error = ""
        self._done_commands: list[str] = []
        self._command_errors: dict[str, str] = {}
        self._lock = threading.Lock()
        self._has_news = False

    def commands_run(self, commands: tuple[Command, ...]) -> None:
        """Carry out commands; those that are done are told with the next heartbeat."""
        actions: dict[str, Callable[[Command], bool]] = {
            Operation.PAUSE: self._pause,
            Operation.RESUME: self._resume,
            Operation.DRAIN: self._drain,
            Operation.SET_PLAN: self._set_plan,
            Operation.MEASURE: self._measure,
            Operation.UPGRADE: self._upgrade,
            Operation.REMOVE: self.files_remove,
            Operation.REMOVE_SEALING: self._leftover_order,
            Operation.RESET_DRIVES: self._drives_order,
            Operation.END_STAGE: self.stage_end,
            **dict.fromkeys(STORE_OPERATIONS, self._store_order),
        }
        for command in commands:
            if not actions.get(command.op, self._unknown)(command):
                continue  # not done yet: the console tells it again with each heartbeat
            log.info("command_done", op=command.op, args=command.args)
            with self._lock:
                if command.id not in self._done_commands:
                    self._done_commands.append(command.id)

    def _unknown(self, command: Command) -> bool:
        """Return that a newer console's command is over: it would come with each heartbeat."""
        self.last_error = f"this host ({VERSION}) does not know the command {command.op}: upgrade the host"
        return self._ordered(command, self.last_error)

    def _pause(self, _command: Command) -> bool:
        self.is_paused = True
        return True

    def _resume(self, _command: Command) -> bool:
        self.is_paused = self.is_draining = self.is_upgrading = False
        return True

    def _drain(self, _command: Command) -> bool:
        self.is_draining = True
        return True

    def _upgrade(self, _command: Command) -> bool:
        self.is_upgrading = True
        return True

    def _set_plan(self, command: Command) -> bool:
        if self.settings is not None:
            self.last_error = self.settings.console_set(command.args) or self.last_error
            self.slots.update(self.settings.slots())
            with self._lock:
                self._has_news = True
        return True

    def _store_order(self, command: Command) -> bool:
        """Return whether an order for a store was carried out, or cannot be."""
        fault = "this program has no stores" if self.watch is None else self.watch.orders.order(command)
        return self._ordered(command, fault)

    def _leftover_order(self, command: Command) -> bool:
        """Return whether a leftover was removed, or cannot be."""
        return self._ordered(command, self.leftover_remove(command))

    def _drives_order(self, command: Command) -> bool:
        """Return whether the drives were taken anew, or cannot be."""
        fault = self.drives_reset(command)
        if fault:
            self.last_error = f"{RESET_DRIVES}{fault}"
        elif fault is not None and self.last_error.startswith(RESET_DRIVES):
            self.last_error = ""
        return self._ordered(command, fault)

    def _ordered(self, command: Command, fault: str | None) -> bool:
        if fault:
            with self._lock:
                self._command_errors[command.id] = fault[:ERROR_MAX]
        return fault is not None

    def _measure(self, _command: Command) -> bool:
        self.disks_measure()
        return True


def _nothing() -> None:
    """Measure nothing on a host that has no disks to tell of."""


def _no_sealing(_command: Command) -> str:
    """Return why a program that seals nothing removes nothing."""
    return "this program has no sealing folders"


def _nothing_here(_command: Command) -> bool:
    """Return that a host which seals nothing has neither files of an aborted sector nor a stage."""
    return True
