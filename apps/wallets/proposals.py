"""Changes of a signer's policy that the console proposes; its owner approves them with a code."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from poolsite.filecoin.address import POWER_ACTOR
from poolsite.wire.policy import PUT, PolicyEdit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from poolsite.wire.policy import PolicyState, RuleForm

CREATE_MINER: Final = "power.CreateMiner"
MINER_METHODS: Final = "miner."


def is_for_own_miners(rule: RuleForm) -> bool:
    """Return whether a rule allows messages to miners, or making one, and nothing else."""
    return any(method.startswith(MINER_METHODS) for method in rule.methods) and all(
        method == CREATE_MINER or method.startswith(MINER_METHODS) for method in rule.methods
    )


def own_miners_edit(state: PolicyState, miners: Sequence[str]) -> PolicyEdit | None:
    """Return the edit that names the tenant's own miners as the only receivers of sealing and proving.

    The first rule that allows messages to miners only is changed; None if it names all of them already, or
    there is no such rule, or no miner.  Receivers that it names already are kept.
    """
    for place, rule in enumerate(state.rules, 1):
        if not is_for_own_miners(rule):
            continue
        power = (str(POWER_ACTOR),) if CREATE_MINER in rule.methods else ()
        wanted = tuple(dict.fromkeys((*rule.to, *power, *miners)))
        if not miners or wanted == rule.to:
            return None
        return PolicyEdit(op=PUT, name=rule.name, rule=replace(rule, to=wanted), place=place)
    return None
