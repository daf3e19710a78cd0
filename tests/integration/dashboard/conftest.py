"""The people of the pages, and a node that knows the factories' miner."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from apps.miners.models import RewardEstimate
from apps.users.models import User
from poolsite.filecoin.fixed_point import PRECISION
from poolsite.filecoin.power import Estimate
from tests import factories
from tests.factories import MinerNode
from tests.messaging import Pool, pool_world
from tests.people import operator_person, person


@pytest.fixture
def ann(db: None) -> User:
    return person()


@pytest.fixture
def bill(db: None) -> User:
    return person("bill", of="bob")


@pytest.fixture
def node() -> Iterator[MinerNode]:
    with factories.node_served() as answering:
        yield answering


@pytest.fixture
def pool(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pool]:
    """A pool that sends messages on a small node, with a person of its tenant and a stranger."""
    with pool_world(monkeypatch) as pool:
        person()
        person("bill", of="bob")
        yield pool


@pytest.fixture
def quiet(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pool in which nothing is wrong."""
    monkeypatch.setattr("apps.core.processes.supervised", dict)
    monkeypatch.setattr("apps.core.processes.heartbeats", dict)
    operator_person()
    factories.network(params={"NetworkName": factories.NETWORK, "BlockDelaySecs": 30})
    factories.head(1000)


@pytest.fixture
def priced(quiet: None) -> tuple[Estimate, Estimate]:
    """Such a pool with the chain's estimates of the reward and of the power, which prices need."""
    reward, power = Estimate(36 * 10**18 << PRECISION), Estimate(10**12 << PRECISION)
    RewardEstimate.objects.create(
        reward_position=reward.position,
        reward_velocity=reward.velocity,
        power_position=power.position,
        power_velocity=power.velocity,
        height=1000,
    )
    return reward, power
