"""A damocles-worker's connection, a miner and the pool's own hosts; a file may have others of its own."""

from __future__ import annotations

import pytest
from django.test import Client

from apps.miners.models import Miner
from apps.sectors.models import Worker
from poolsite.wire.jobs import JobKind
from tests import factories, people
from tests.unit.apps.api.rpc.damocles_line import Line


@pytest.fixture
def line(client: Client) -> Line:
    return Line(client, people.token("write", of="alice", scopes=["sealer"]))


@pytest.fixture
def miner() -> Miner:
    factories.head(1000)
    return factories.miner(2001)


@pytest.fixture
def prover() -> Worker:
    host = factories.worker("prover-1", kinds=[JobKind.WINDOW_POST, JobKind.SECTOR_CHECK])
    factories.store(host, "store")
    return host


@pytest.fixture
def own(prover: Worker) -> Worker:
    """A sealing host of the pool's own."""
    host = factories.worker(
        "sealer-1", kinds=[JobKind.SEAL, JobKind.SNAP_UP, JobKind.REBUILD, JobKind.UNSEAL]
    )
    factories.store(host, "store")
    return host
