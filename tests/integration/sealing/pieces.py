"""Pieces that are uploaded, found in their sectors, and read back."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.conf import settings
from django.test import TestCase

from apps.miners.models import Miner
from apps.pieces.models import Piece
from apps.sectors.models import Job, Sector
from poolsite.filecoin.amounts import FIL
from poolsite.filecoin.cids import cid_parse
from tests.integration.sealing.world import World
from tests.unit.devnet.people import OWNER, STRANGER, Person
from tests.unit.devnet.people import send as chain_send
from tests.unit.devnet.verified_data import World as Registry

LARGE = bytes(number % 251 for number in range(1000))

SMALL = b"small" * 20


@pytest.fixture(autouse=True)
def at_once(settings: Any, tmp_path: Path) -> None:
    """No piece waits for others."""
    settings.PIECES_DIR = str(tmp_path / "pieces")
    settings.SEALING = {"pack_wait_s": 0}


def add(world: World, miner: Miner, data: bytes, **terms: Any) -> Piece:
    answer = world.console._client.post(f"/api/v1/miners/{miner.address}/pieces", params=terms, content=data)
    assert answer.status_code == 201, answer.text
    return Piece.objects.get(uuid=answer.json()["uuid"])


def data_of(world: World, piece: Piece, **headers: str) -> bytes:
    return world.console._client.get(f"/api/v1/pieces/{piece.piece_cid}/data", headers=headers).content


def granted(world: World, miner: Miner) -> Registry:
    """A client with data cap."""
    node = world.node.devnet
    registry = object.__new__(Registry)
    registry.node, registry.miner = node, SimpleNamespace(id=miner.actor_id)  # type: ignore[assignment]
    faucet = node.wallet.default
    registry.root = Person(node.wallet.key(faucet), faucet)
    for who in (OWNER, STRANGER):
        chain_send(node, registry.root, who.address, value=10 * FIL)
    assert registry.verifier() == 0
    assert registry.client().exit_code == 0
    return registry


def allocation(
    world: World, miner: Miner, piece_cid: str, size: int, *, count: int = 1, **terms: int
) -> tuple[int, int]:
    """Data cap of a client for a piece at the miner, `count` times: client and last number."""
    registry = granted(world, miner)
    request = registry.request(data=cid_parse(piece_cid), size=size, **terms)
    for _ in range(count):
        assert registry.allocate(request).exit_code == 0
    return registry.id_of(STRANGER), count


def come_back_unsealed(world: World, sector: Sector, *, large: Piece, small: Piece) -> None:
    """Without a copy, a host of the store unseals the bytes."""
    with TestCase.captureOnCommitCallbacks(execute=True):
        answer = world.console._client.delete(f"/api/v1/sectors/{sector.uuid}/unsealed")
    assert answer.status_code == 204
    assert not any(Path(settings.PIECES_DIR).iterdir())
    path = f"/api/v1/pieces/{large.piece_cid}/data"

    answers = [world.console._client.get(path) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert Job.objects.filter(kind="unseal").count() == 1
    world.hosts_work()

    assert data_of(world, large) == LARGE
    assert data_of(world, large, Range="bytes=997-") == LARGE[997:]
    assert Job.objects.get(kind="unseal").state == "DONE"
    assert not list(world.store.root.glob("unsealed/*"))
    assert world.console._client.get(f"/api/v1/pieces/{small.piece_cid}/data").status_code == 202
    world.hosts_work()
    assert data_of(world, small) == SMALL


def killed_often(world: World) -> Counter[str]:
    """Have the sealing host killed before each of its reports; gives how often each stage ran."""
    runs: Counter[str] = Counter()
    pool, call, rest = world.pool, world.pool.call, world.hosts_work

    def counted(name: str, *args: Any, **options: Any) -> Any:
        runs[name] += 1
        return call(name, *args, **options)

    def hosts_work() -> None:
        for _ in range(40):
            for _ in range(2):  # claims, then runs the stage or reports what an earlier life has made
                world.agent.claim_after = 0.0
                world.agent.tick()
            is_busy = bool(world.agent.held)
            world.agent = world.sealer()
            if not is_busy:
                break
        rest()

    world.pool = SimpleNamespace(call=counted, is_foreign=pool.is_foreign)  # type: ignore[assignment]  # all that a runner asks of it
    world.agent = world.sealer()
    world.hosts_work = hosts_work  # type: ignore[method-assign]  # the kills are between its ticks
    return runs
