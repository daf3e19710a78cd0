"""How much gas messages of each method used lately: the middle and the high end, from a bounded sample."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from apps.messages.rules.methods import method_text
from apps.messages.selectors.messages import messages_visible
from apps.messages.states import MessageState
from apps.users.rules.principals import Principal

SAMPLED: Final = 2_000
"""Messages that are read, the newest: their number does not grow with the table."""
SAMPLED_DAYS: Final = 30


@dataclass(frozen=True, slots=True)
class MethodGas:
    """Gas that messages of one method used."""

    method: str
    messages: int
    gas_p50: int
    gas_p95: int
    cost_p50: int
    """attoFIL."""
    cost_p95: int


def method_gas(viewer: Principal, *, miners: Collection[str], now: datetime) -> list[MethodGas]:
    """Return the gas of the newest messages that landed without a refusal, most gas first.

    `miners`: addresses of the miners that are known.
    """
    rows = messages_visible(viewer).select_related(None)
    rows = rows.filter(created_at__gte=now - timedelta(days=SAMPLED_DAYS))
    columns = ("to", "method", "kind", "state", "exit_code", "gas_used", "gas_cost")
    gas: dict[str, list[int]] = defaultdict(list)
    costs: dict[str, list[int]] = defaultdict(list)
    for to, method, kind, state, exit_code, used, cost in rows.values_list(*columns)[:SAMPLED]:
        if state != MessageState.LANDED or exit_code or not used:
            continue
        name = method_text(to, method, kind=kind, miners=miners)
        gas[name].append(used)
        costs[name].append(int(cost))
    found = [
        MethodGas(
            method=name,
            messages=len(used),
            gas_p50=percentile(used, 50),
            gas_p95=percentile(used, 95),
            cost_p50=percentile(costs[name], 50),
            cost_p95=percentile(costs[name], 95),
        )
        for name, used in gas.items()
    ]
    return sorted(found, key=lambda one: (-one.gas_p50, one.method))


def percentile(values: Sequence[int], percent: int) -> int:
    """Return the least of the values that so many percent do not exceed."""
    return sorted(values)[max(math.ceil(len(values) * percent / 100) - 1, 0)]
