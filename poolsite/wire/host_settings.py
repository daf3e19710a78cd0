"""The settings in force on a host, and where each comes from."""

from __future__ import annotations

from typing import Final

from poolsite.wire.codec import BadWire, Document, Text

SETTINGS_MAX: Final = 2_000
"""Settings of a host."""
SETTING_MAX: Final = 1 << 50
"""Largest value of one."""
LEVELS: Final = (
    *("default", "proposed", "pool", "tenant", "group", "file", "command line", "host"),
    *("file of thread", "thread"),
)
"""Where a host's setting may come from; a later one wins.  The last two are of one sealing thread: of its
table in the host's file, and set for it on the console."""
FILE_LEVELS: Final = ("file", "file of thread")
"""Those that the host's file gives."""
CONSOLE_LEVELS: Final = ("pool", "tenant", "group", "host", "thread")
"""Those that are set on the console."""


class Setting(Document, frozen=True, kw_only=True):
    """A setting in force on a host."""

    key: Text
    value: Text
    origin: Text
    """One of LEVELS."""
    file: Text = ""
    """Path of the host's file, if that says it."""


def settings_check(settings: tuple[Setting, ...]) -> None:
    """Raise BadWire for more settings than a host has, or from nowhere."""
    if len(settings) > SETTINGS_MAX:
        raise BadWire("settings", f"must have at most {SETTINGS_MAX} entries")
    for setting in settings:
        if setting.origin not in LEVELS:
            raise BadWire("settings", f"must have an origin of {', '.join(LEVELS)}")
