"""A row for the tests of automatic rules."""

from __future__ import annotations

from typing import Any

from apps.automation.models import AutoRule
from apps.automation.rules.specs import MoneySpec, spec_write
from tests.factories import FIL, bls
from tests.people import tenant


def auto_rule(*, of: str = "alice", kind: str = "top_up", **overrides: Any) -> AutoRule:
    """An automatic rule, off: from key 1 to key 2."""
    spec = MoneySpec(source=bls(1), target=bls(2), low=FIL, high=3 * FIL, day_max=10 * FIL)
    return AutoRule.objects.create(tenant=tenant(of), kind=kind, settings=spec_write(spec), **overrides)
