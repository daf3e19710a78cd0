"""How much parts of the log say, in the process that is asked."""

from __future__ import annotations

import logging
from typing import Final

from apps.users.rules.principals import Principal
from apps.users.services.audit import audit_record

SUBSYSTEMS: Final = ("apps.chain", "apps.messages", "apps.wallets", "apps.gateway")
"""Loggers whose level can be set."""
LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
    "dpanic": logging.CRITICAL,
    "panic": logging.CRITICAL,
    "fatal": logging.CRITICAL,
}
"""go-log's levels."""


def log_level_set(subsystem: str, *, level: str, by: Principal) -> None:
    """Set the level of a part, or of all of them by `*`."""
    audit_record(principal=by, action="log.level", target=subsystem, after={"level": level})
    for name in SUBSYSTEMS if subsystem == "*" else (subsystem,):
        logging.getLogger(name).setLevel(LEVELS[level.lower()])
