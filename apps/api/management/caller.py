"""The principal of `manage.py` commands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from apps.users.selectors.principals import command_principal

if TYPE_CHECKING:
    from apps.users.rules.principals import Principal

COMMAND: Final[Principal] = command_principal()
"""The person at this machine, with the pool's own rights: the audit log has their name, not `system`."""
