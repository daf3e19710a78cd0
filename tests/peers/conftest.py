"""The running pool that all programs drive, and the programs, built once."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.pool import RunningPool
from tests.peers.programs import SOPHON_AUTH, built_program, go_program


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here shares one pool, so one process runs it."""
    for item in items:
        if "peers" in item.path.parts:
            item.add_marker(pytest.mark.xdist_group("peers"))


@pytest.fixture(scope="session")
def pool() -> Iterator[RunningPool]:
    """A pool with its miner."""
    with RunningPool() as running:
        running.wait_miner()
        yield running


@pytest.fixture(scope="session")
def worker(pool: RunningPool) -> str:
    """The BLS address that signs for the pool's miner, and has money."""
    return str(json.loads((pool.var / "signer.json").read_text())["worker"])


@pytest.fixture(scope="session")
def go() -> None:
    """Who asks for these tests has Go: without it nothing is shown, and that is said, not passed over."""
    assert shutil.which("go") is not None, "there is no Go here, and its programs are what is tested"


@pytest.fixture(scope="session")
def sophon(go: None) -> Path:
    """The client library of sophon-auth."""
    return go_program("sophon")


@pytest.fixture(scope="session")
def sophon_auth(go: None) -> Path:
    """sophon-auth itself, whose command line we use."""
    return go_program("sophon", SOPHON_AUTH)


@pytest.fixture(scope="session")
def sophon_messager() -> Path:
    """sophon-messager itself."""
    shows = "its command line drives the console, and its server works with our nodes, users and signers"
    return built_program("sophon-messager", version="v1.20.0", shows=shows)


@pytest.fixture(scope="session")
def sophon_miner() -> Path:
    """sophon-miner itself."""
    shows = "its command line drives the console, and it mines for the pool's miner by our hub and nodes"
    return built_program("sophon-miner", version="v1.19.0", shows=shows)


@pytest.fixture(scope="session")
def venus_wallet() -> Path:
    """venus-wallet itself."""
    shows = "it serves our hub as a signer, and its command line drives our signer"
    return built_program("venus-wallet", version="v1.20.0", shows=shows)


@pytest.fixture(scope="session")
def venus(go: None) -> Path:
    """The generated clients of venus-shared."""
    return go_program("venus")


@pytest.fixture(scope="session")
def lotus(go: None) -> Path:
    """The RPC clients of lotus."""
    return go_program("lotus")


@pytest.fixture(scope="session")
def gateway(go: None) -> Path:
    """The gateway's own code as a program: signer, prover, market, hub."""
    return go_program("gateway")


@pytest.fixture(scope="session")
def admin(pool: RunningPool) -> str:
    """The operator's token."""
    return str(pool.operator["admin_token"])


def token_of(pool: RunningPool, tenant: str, *, perm: str = "sign", **change: Any) -> str:
    """A fresh token of a tenant, made over REST."""
    body = {"tenant": tenant, "name": "program", "perm": perm, **change}
    answer = pool.ask("POST", "/api/v1/tokens", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["token"])


def tenant_new(pool: RunningPool, name: str) -> str:
    """A tenant of this name, made if there is none."""
    if name not in {row["name"] for row in pool.read("/api/v1/tenants")["results"]}:
        assert pool.ask("POST", "/api/v1/tenants", json={"name": name}).status_code == 201
    return name
