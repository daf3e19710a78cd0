"""A damocles-worker in a pool whose own sealer takes no sectors."""

from __future__ import annotations

import pytest

from apps.core import clock
from apps.sectors.models import Worker
from poolsite.wire.jobs import JobKind
from tests import factories
from tests.integration.sealing.damocles_worker import DamoclesWorker
from tests.integration.sealing.world import World
from tests.people import token


@pytest.fixture
def outside(world: World) -> DamoclesWorker:
    """A damocles-worker in a pool whose own sealer takes no sectors."""
    world.hosts_work = world.prover_works  # type: ignore[method-assign]
    world.besides = (JobKind.SECTOR_CHECK,)  # it looks at what the worker has stored
    prover, mark = Worker.objects.get(name="prover-1"), world.store.mark()
    factories.store(prover, world.store.name(), uid=mark.uid or mark.name)
    return DamoclesWorker(world, token("write", of="alice", scopes=["sealer"]))


def sealed(world: World, thread: DamoclesWorker, state: str, *, epochs: int = 40) -> None:
    """Let epochs pass until a thread is in a state."""
    for _ in range(epochs):
        Worker.objects.filter(name="prover-1").update(seen_at=clock.now())  # nothing else says that it lives
        thread.ping()
        thread.work(until=state)
        if thread.state == state:
            return
        world.epoch(1)
    raise AssertionError((thread.state, thread.errors))
