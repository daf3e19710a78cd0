"""What the console stores of a signer's policy whenever the signer shows it: for which miners it may seal."""

from __future__ import annotations

from typing import Any

import pytest

from apps.gateway.errors import SignerAway
from apps.wallets.services import policies
from apps.wallets.services.policies import policy_advice_record, policy_read
from poolsite.wire.policy import PolicyState, RuleForm
from poolsite.wire.proposals import PROOFS_RULE, sealing_receivers
from tests import factories
from tests.people import principal

pytestmark = pytest.mark.django_db

SEALING = RuleForm(name="sealing", methods=("miner.PreCommitSectorBatch2",), to=("f04", "f01000"))


@pytest.mark.parametrize(
    ("rules", "receivers"),
    [
        ((PROOFS_RULE, SEALING), ("f04", "f01000")),
        ((RuleForm(name="any", methods=("miner.PreCommitSectorBatch2",)),), ()),
        ((PROOFS_RULE,), None),
        ((RuleForm(name="transfers", methods=("Send",), to=("f01",)),), None),
    ],
)
def test_the_rule_for_sealing_says_for_which_miners(rules, receivers):
    assert sealing_receivers(rules) == receivers


def test_what_the_signer_shows_is_stored_and_pages_are_told_once(monkeypatch):
    wallet = factories.wallet()
    connection = factories.signer_connection(wallet.address)
    shown: dict[str, Any] = {"rules": (PROOFS_RULE, SEALING)}
    told: list[Any] = []

    def call(*_args: Any, **_words: Any) -> PolicyState:
        names: dict[str, Any] = dict.fromkeys(("sets", "versions", "editors", "types", "methods"), ())
        return PolicyState(number=1, digest="d", text="", **names, **shown)

    monkeypatch.setattr(policies, "_signer_call", call)
    monkeypatch.setattr(policies, "publish", told.append)

    for _ in range(2):
        policy_read(principal("alice"), address=wallet.address)
    connection.refresh_from_db()
    assert connection.policy_receivers == ["f04", "f01000"]
    assert [(one.kind, one.tenant) for one in told] == [("signer", wallet.tenant_id)]

    shown["error"] = "line 3"
    assert policy_advice_record(address=wallet.address)
    connection.refresh_from_db()
    assert connection.policy_receivers is None, "a policy that cannot be read allows nothing"


def test_what_was_stored_stays_while_the_signer_cannot_be_asked(monkeypatch):
    wallet = factories.wallet()
    connection = factories.signer_connection(wallet.address, policy_receivers=["f01000"])

    def call(*_args: Any, **_words: Any) -> PolicyState:
        raise SignerAway(wallet.address)

    monkeypatch.setattr(policies, "_signer_call", call)

    assert not policy_advice_record(address=wallet.address)
    connection.refresh_from_db()
    assert connection.policy_receivers == ["f01000"]
