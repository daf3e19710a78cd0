"""The proposed change that limits sealing and proving to the tenant's own miners."""

from __future__ import annotations

from typing import Any

from apps.wallets.proposals import own_miners_edit
from poolsite.wire.policy import PolicyState
from workers.signer.policy import DEFAULT, policy_parse
from workers.signer.policy_text import edit_apply, rule_form

SEALING = "sealing and proving"


def state(text: str = DEFAULT) -> PolicyState:
    policy = policy_parse(text)
    rules = tuple(rule_form(rule, policy.sets) for rule in policy.rules)
    facts: dict[str, Any] = {"text": text, "digest": policy.digest, "number": 1, "rules": rules, "sets": ()}
    return PolicyState(**facts, versions=(), editors=(), types=(), methods=(), error="")


def test_default_policy_gets_the_power_actor_and_own_miners() -> None:
    edit = own_miners_edit(state(), ["f01234", "f05678"])

    assert edit is not None
    text = edit_apply(DEFAULT, edit)
    rule = next(one for one in policy_parse(text).rules if one.name == SEALING)
    assert rule.to == ("f04", "f01234", "f05678")
    assert [one.name for one in policy_parse(text).rules] == [one.name for one in policy_parse(DEFAULT).rules]


def test_miner_added_later_is_appended_to_what_is_named() -> None:
    first = own_miners_edit(state(), ["f01234"])
    assert first is not None
    text = edit_apply(DEFAULT, first)

    again = own_miners_edit(state(text), ["f01234", "f05678"])

    assert again is not None
    assert again.rule is not None
    assert again.rule.to == ("f04", "f01234", "f05678")
    assert own_miners_edit(state(text), ["f01234"]) is None


def test_nothing_is_proposed_without_a_miner_or_such_a_rule() -> None:
    transfers = 'version = 1\n[[rule]]\nname = "all"\nmethods = ["Send", "miner.PreCommitSectorBatch2"]\n'

    assert own_miners_edit(state(), []) is None
    assert own_miners_edit(state(transfers), ["f01234"]) is None
