"""A prover whose kernel child stands still while its lease is renewed: real programs, inside one window."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from apps.messages.models import Message
from apps.miners.models import Miner
from apps.proving.models import WindowPost
from apps.sectors.models import Job, Sector
from poolsite.wire.job_reports import Complete
from poolsite.wire.jobs import Assignment
from tests.integration.sealing.windows import fresh_post, landed, next_post, require_all_active
from tests.integration.sealing.world import World
from tests.processor_pids import pids_of
from tests.unit.apps.proving.attempts import job_of
from workers.config import HostConfig
from workers.console.lease_keeper import LeaseKeeper
from workers.console.refusals import Fenced
from workers.processors.pool import ProcessorPool
from workers.processors.pool_child import ChildSpec
from workers.prover.loop import Prover

pytestmark = pytest.mark.xdist_group("pair")  # one worker seals the two sectors


class Hanging:
    """A prover that has claimed the next window's proof, and whose kernel child was stopped before."""

    def __init__(self, world: World) -> None:
        self.world = world
        config = HostConfig(
            folder=world.folder / "ill", stores=(world.store.root,), console="", token="", name="ill"
        )
        self.leases = LeaseKeeper(config, world.console, kinds=world.prover.leases.kinds, slots={})
        self.leases.stores = (world.store.name(),)
        self.leases.register()
        self.pool = ProcessorPool([ChildSpec(stages=("window_post",))])
        self.pool.precompile()
        (self.child,) = pids_of(self.pool)
        os.kill(self.child, signal.SIGSTOP)
        self.prover = Prover(console=world.console, leases=self.leases, pool=self.pool, stores=world.stores)

    def claims(self) -> Assignment:
        """Take the job that is there and begin with it."""
        (job,) = self.prover._claim(1)
        self.proving = threading.Thread(target=self.prover._prove, args=(job,))
        self.proving.start()
        while not self.leases._held:
            time.sleep(0.01)
        return job

    def beat(self) -> None:
        """Renew the lease, as the thread does that lives on."""
        self.leases.heartbeat()

    def stops(self) -> bool:
        """The hanging call has ended, and its child."""
        self.beat()
        self.proving.join(60)
        until = time.monotonic() + 60
        while os.path.exists(f"/proc/{self.child}") and time.monotonic() < until:
            time.sleep(0.05)
        return not self.proving.is_alive() and not os.path.exists(f"/proc/{self.child}")

    def close(self) -> None:
        """End what is left of it."""
        if os.path.exists(f"/proc/{self.child}"):
            os.kill(self.child, signal.SIGCONT)
        self.pool.close()


@pytest.fixture
def ill(world: World, monkeypatch: Any) -> Iterator[Hanging]:
    """The lease outlasts a slow machine, so that only the missing progress can be the reason."""
    monkeypatch.setattr("apps.proving.services.jobs.lease_length_compute", lambda _window_s: 600)
    host = Hanging(world)
    yield host
    host.close()


def hung(world: World, ill: Hanging, miner: Miner) -> tuple[WindowPost, Assignment]:
    """The next window's proof, in the hands of the host that hangs."""
    world.proves = False
    post = next_post(world, miner)
    return post, ill.claims()


def until_it_ends(world: World, post: WindowPost, *hosts: LeaseKeeper) -> None:
    """Let epochs pass, in each of which these hosts tell that they live."""

    def ended() -> bool:
        for leases in hosts:
            leases.heartbeat()
        return fresh_post(post).state in ("LANDED", "MISSED")

    world.until(ended, epochs=14)


def sent_once(post: WindowPost) -> None:
    """One message was pushed for it, whatever became of it."""
    assert Message.objects.filter(pk__startswith=f"post:{post.uuid}").count() == 1


def test_another_host_proves_what_hangs_on_the_first(
    world: World, pair: tuple[Miner, list[Sector]], ill: Hanging
) -> None:
    miner, sectors = pair
    post, job = hung(world, ill, miner)
    world.proves = True

    until_it_ends(world, post, ill.leases, world.prover.leases)

    row = landed(post)
    assert row.notes.filter(words__contains="no progress on ill since epoch").exists()
    assert row.notes.filter(words="using the proof from prover-1").exists()
    sent_once(row)
    assert Job.objects.get(uuid=job.id).state == "FAILED"
    assert ill.stops(), "it hears that its work is not wanted any more"
    require_all_active(world, miner, sectors)


def test_the_late_proof_of_the_first_host_changes_nothing(
    world: World, pair: tuple[Miner, list[Sector]], ill: Hanging
) -> None:
    miner, sectors = pair
    post, job = hung(world, ill, miner)
    world.proves = True
    until_it_ends(world, post, ill.leases, world.prover.leases)
    assert ill.stops()

    late = ill.prover.jobs.result(job)
    assert isinstance(late, Complete)
    with pytest.raises(Fenced):
        world.console.complete(job.id, late)
    ill.prover._report(job, late)

    sent_once(landed(post))
    require_all_active(world, miner, sectors)


def test_a_lone_host_begins_anew_with_another_child(
    world: World, pair: tuple[Miner, list[Sector]], ill: Hanging
) -> None:
    miner, sectors = pair
    post, job = hung(world, ill, miner)
    world.prover.leases.is_paused = True
    world.prover.leases.heartbeat()
    while job_of(fresh_post(post)) == Job.objects.get(uuid=job.id):
        ill.beat()
        world.epoch()
    assert ill.stops()

    (again,) = ill.prover._claim(1)
    ill.prover._prove(again)

    assert again.id != job.id
    until_it_ends(world, post, ill.leases)
    row = landed(post)
    assert row.notes.filter(words__endswith="cancelled and offered again").count() == 1
    sent_once(row)
    require_all_active(world, miner, sectors)
