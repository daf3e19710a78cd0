"""The methods of a node as `methods.toml` names them: levels, subscriptions, what tenants may call."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Final

_TABLE: Final[dict[str, Any]] = tomllib.loads(Path(__file__).with_name("methods.toml").read_text("utf-8"))

LEVELS: Final[dict[str, str]] = {name: level for level, names in _TABLE["levels"].items() for name in names}
"""Level that a caller needs, by the method's name without its prefix."""
CHANNELS: Final = frozenset[str](_TABLE["kinds"]["channels"])
"""Subscriptions: their answer is a channel of values."""
TENANT_CALLS: Final = frozenset[str](_TABLE["kinds"]["tenant_calls"])
"""Calls above `read` that a tenant may make; all others are the operator's."""
COSTLY: Final = frozenset[str](_TABLE["kinds"]["costly"])
"""Reads that count against a tenant's budget of node time."""
OPERATOR_READS: Final = frozenset[str](_TABLE["kinds"]["operator_reads"])
"""Reads that only the operator may call."""
IMMUTABLE: Final = frozenset[str](_TABLE["kinds"]["immutable"])
"""Answers that never change, as long as the call names its object by a CID."""
INSTEAD: Final[dict[str, str]] = _TABLE["instead"]
"""What a tenant does instead of calling a method that is the operator's, by the method's name."""
