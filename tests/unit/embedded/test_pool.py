"""The table of a pool's processes: what the environment's choices put into it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from poolsite.embedded.places import Places
from poolsite.embedded.pool import Choices, pool_table

if TYPE_CHECKING:
    from pathlib import Path

    from poolsite.embedded.children import Child


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No choice of the person who runs the tests reaches them."""
    for name in ("PORT", "DEVNET_LISTEN", "CHAIN_URLS", "DATABASE_URL", "REDIS_URL", "COMPAT_PORTS"):
        monkeypatch.delenv(name, raising=False)


def table_in(var: Path) -> dict[str, Child]:
    """The children by name."""
    table = pool_table(Places(var), Choices.of_environment(), cluster=None, web_fds=())
    return {child.name: child for child in table}


def test_the_small_chain_brings_the_step_that_makes_the_miner(tmp_path: Path) -> None:
    step = table_in(tmp_path)["bootstrap-miner"]

    assert step.once
    assert step.tries is None
    assert {"signer", "devnet", "tasks", "follower"} <= step.after
    assert step.env["POOLSITE_SIGNER_FILE"] == str(tmp_path / "signer.json")


def test_on_a_real_chain_no_miner_is_made_and_nothing_waits_for_a_devnet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHAIN_URLS", "http://node:1234/rpc/v1")

    table = table_in(tmp_path)

    assert not {"devnet", "bootstrap-miner"} & set(table)
    assert all(child.after <= set(table) | {"postgres"} for child in table.values())


def test_every_child_stands_only_on_children_of_the_table(tmp_path: Path) -> None:
    table = table_in(tmp_path)

    assert {name for child in table.values() for name in child.after} <= set(table)
