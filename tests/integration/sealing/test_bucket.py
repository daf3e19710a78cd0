"""A sector that is sealed into an S3 bucket and proven out of it, on a real chain and a real S3 server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from apps.proving.models import WindowPost
from tests.integration.sealing.world import PERIOD, SKIP, WINDOW, World, active_on_chain, fresh, pledged
from tests.s3_server import BUCKET, S3Server, serving
from workers.storage.bucket_settings import BucketSettings
from workers.storage.store import MARK
from workers.storage.store_mark import mark_change


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    """The server, its access key in the hosts' environment."""
    with serving(tmp_path, monkeypatch) as one:
        yield one


def test_a_sector_is_sealed_into_a_bucket_and_proven_there(world: World, server: S3Server) -> None:
    settings = BucketSettings(server.endpoint, "us-east-1")
    one = world.stores.attach(f"s3://{BUCKET}/pool", init=True, settings=settings)
    mark_change(world.store.root / MARK, {"ReadOnly": True})
    for leases in (world.agent.leases, world.prover.leases):
        leases.stores = (*leases.stores, one.name)
        leases.register()
    miner = world.miner_create()
    (sector,) = pledged(world, miner)

    world.until(lambda: fresh(sector).state == "PROVING", epochs=30)

    name = f"s-t0{miner.address.removeprefix('f0')}-{sector.number}"
    kept = [f"pool/cache/{name}/{file}" for file in ("p_aux", "sc-02-data-tree-r-last.dat", "t_aux")]
    assert server.keys("pool") == sorted(
        [*kept, f"pool/sealed/{name}", f"pool/sums/{name}.json", f"pool/{MARK}"]
    )
    assert fresh(sector).store == one.name
    assert not list(world.folder.rglob(f"sealed/{name}")), "nothing is left of it on the host"
    world.until(lambda: fresh(sector).active, epochs=PERIOD + WINDOW, stride=SKIP)
    world.epoch(PERIOD, stride=SKIP)
    assert active_on_chain(world, miner) == [sector.number]
    posts = WindowPost.objects.filter(miner=miner)
    assert {post.state for post in posts} == {"LANDED"}
    assert posts.count() == 2, "one proof in each period"
