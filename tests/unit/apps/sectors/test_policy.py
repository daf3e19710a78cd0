"""The pool's own values of sealing: what may stand in the variable SEALING."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from apps.sectors.rules.policy import (
    BASE_FEES,
    BATCH_FIELDS,
    LIMITS,
    SealingPolicy,
    policy_check,
    sealing_policy,
)


def test_the_variable_changes_the_defaults(settings: Any) -> None:
    settings.SEALING = {"pack_wait_s": 600, "snap_up_first": True}
    policy_check()

    assert (sealing_policy().pack_wait_s, sealing_policy().snap_up_first) == (600, True)
    assert sealing_policy().precommit_batch_max == SealingPolicy().precommit_batch_max


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"pack_wait": 1}, "unknown name pack_wait"),
        ({"pack_wait_s": -1}, "pack_wait_s must be a number from 0"),
        ({"pack_wait_s": "600"}, "pack_wait_s must be a number"),
        ({"pack_wait_s": True}, "pack_wait_s must be a number"),
        ({"snap_up_first": 1}, "snap_up_first must be true or false"),
        ({"precommit_batch_max": 257}, "from 1 to 256"),
        ({"precommit_slack_epochs": 19}, "from 20 to 2880"),
        ({"lease_s": 0}, "lease_s must be a number from 1 to 2147483647"),
        ({"poll_ms": 2**31}, "poll_ms must be a number from 1"),
        ({"base_fee_max": 2**63}, "base_fee_max must be a number from 0"),
        ({"update_base_fee_max": -1}, "update_base_fee_max must be a number from 0"),
    ],
)
def test_what_cannot_be_stops_the_start_by_name(settings: Any, given: Any, words: str) -> None:
    settings.SEALING = given

    with pytest.raises(ImproperlyConfigured, match=words):
        policy_check()


@pytest.mark.parametrize(
    "given", [{"base_fee_max": 0}, {"base_fee_max": 2**40, "commit_base_fee_max": 0}, {"lease_s": 1}]
)
def test_what_can_be_lets_the_site_start(settings: Any, given: Any) -> None:
    settings.SEALING = given
    policy_check()


def test_one_ceiling_of_the_variable_is_that_of_all_kinds(settings: Any) -> None:
    settings.SEALING = {"base_fee_max": 5, "extend_base_fee_max": 7}

    policy = sealing_policy()

    assert [getattr(policy, name) for name in BASE_FEES.values()] == [5, 5, 5, 7, 5]
    assert [policy.is_held(kind, 6) for kind in BASE_FEES] == [True, True, True, False, True]
    assert not any(SealingPolicy().is_held(kind, 10**12) for kind in BASE_FEES)


def test_each_default_may_stand_in_the_variable(settings: Any) -> None:
    settings.SEALING = dataclasses.asdict(SealingPolicy())
    policy_check()


def test_defaults_lie_within_what_a_miner_may_have() -> None:
    policy = SealingPolicy()

    for name, (least, most) in LIMITS.items():
        assert least <= policy.value(name) <= most, name
    assert all(hasattr(policy, name) for name in BATCH_FIELDS)
