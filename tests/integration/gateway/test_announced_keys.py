"""A gateway that is limited to a set of rules is told of the keys that these name, and of no other."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from structlog.testing import capture_logs

from apps.core import clock
from apps.gateway.selectors.connections import keys_served
from apps.users.rules.principals import SYSTEM
from apps.wallets.models import Wallet
from apps.wallets.selectors import wallets_named
from apps.wallets.services.served_wallets import served_wallets_sync
from poolsite.filecoin.keys import key_generate
from tests import people
from tests.integration.gateway.conftest import connected
from tests.integration.gateway.hub import BLS, SECP, in_thread
from tests.integration.pools import PATIENCE_S
from workers.signer.signing import Signer


@pytest.fixture
def token(transactional_db: None) -> str:
    return people.token("read", scopes=["signer"])


def policy_write(signer: Signer, *, key: str, rule_set: str = "purse", callers: str = "*") -> None:
    """Write a rule for one key, and another for all keys outside of the set."""
    rules = f'[[rule]]\nname = "one"\nkeys = ["{key}"]\ncallers = ["{callers}"]\n[[rule]]\nname = "all"\n'
    text = f'version = 1\n{rules}[[set]]\nname = "{rule_set}"\nrules = ["one"]\n'
    (signer.folder / "policy.toml").write_text(text)


async def served() -> set[str]:
    return set(await in_thread(keys_served)("alice", [BLS, SECP]))


async def until_served(*keys: str) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while await served() != set(keys):
            await asyncio.sleep(0.05)


async def test_set_of_rules_limits_the_keys_that_are_announced(web: Any, signer: Signer, token: str) -> None:
    policy_write(signer, key=SECP)
    async with connected(signer, web, token, rule_set="purse") as link:
        assert await served() == {SECP}
        await link.announce([BLS, SECP])
        assert await served() == {SECP}
        (signer.folder / "policy.toml").write_text("version = 1\n[[rule")
        await asyncio.sleep(1.5)
        assert await served() == {SECP}, "a policy that cannot be read withdraws no key"
        policy_write(signer, key=BLS)
        await until_served(BLS)


async def test_policy_that_cannot_be_read_at_connect_is_logged_once(
    web: Any, signer: Signer, token: str
) -> None:
    (signer.folder / "policy.toml").write_text("version = 1\n[[rule")
    with capture_logs() as logs:
        async with connected(signer, web, token, rule_set="purse"):
            await asyncio.sleep(1.5)
            policy_write(signer, key=SECP)
            await until_served(SECP)

    assert ["TOML" in one["reason"] for one in logs if one["event"] == "policy_unreadable"] == [True]


async def test_wallets_have_the_labels_that_their_signer_gave_the_keys(
    web: Any, signer: Signer, token: str
) -> None:
    address = signer.store.add(key_generate("secp256k1"), label="hot\u202ewallet\n")
    async with connected(signer, web, token):
        later = signer.store.add(key_generate("bls"), label="pledge")
        async with asyncio.timeout(PATIENCE_S):
            while later not in set(await in_thread(keys_served)("alice", [later])):
                await asyncio.sleep(0.05)
        await in_thread(served_wallets_sync)(now=clock.now())

    def shown() -> dict[str, str]:
        Wallet.objects.filter(address=later).update(label="of the console")
        return {row.address: row.shown_label for row in wallets_named(SYSTEM)}

    labels = {BLS: "", SECP: "", address: "hot\ufffdwallet", later: "of the console"}
    assert await in_thread(shown)() == labels


@pytest.mark.parametrize("limits", [{"rule_set": "other"}, {"callers": "strategy *"}])
async def test_signer_without_a_key_for_a_gateway_says_so(
    web: Any, signer: Signer, token: str, limits: dict[str, str]
) -> None:
    policy_write(signer, key=SECP, **limits)
    with capture_logs() as logs:
        async with connected(signer, web, token, rule_set="purse"):
            assert await served() == set()

    assert [one["rule_set"] for one in logs if one["event"] == "no_key_announced"] == ["purse"]
