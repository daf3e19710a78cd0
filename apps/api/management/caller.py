"""The principal of `manage.py` commands."""

from __future__ import annotations

from typing import Final

from apps.users.rules.principals import Principal
from apps.users.selectors.principals import command_principal

COMMAND: Final[Principal] = command_principal()
"""The person at this machine, with the pool's own rights: the audit log has their name, not `system`."""
