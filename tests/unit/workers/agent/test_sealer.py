"""The sealing program around its loop: what it learns from the console while it runs."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from poolsite.wire.hosts import HeartbeatAnswer, Registered
from tests.unit.workers.agent.scripted_host import Host
from workers.agent.sealer import config_for_told_size, proofs_follow
from workers.config import sealer_config
from workers.console.join import size_learned
from workers.host_folder import size_noted
from workers.host_settings import HostSettings
from workers.processors.snark_choice import HostProofs, Snark

GIB = 1 << 30


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    """A host that is registered, and has no parameters."""
    monkeypatch.setenv("FIL_PROOFS_PARAMETER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("POOLSITE_VAR", str(tmp_path / "var"))
    return Host(tmp_path)


def follow(host: Host, proofs: HostProofs) -> tuple[bool, bool]:
    """Whether the host claims sectors, and snap-ups, by what it knows now."""
    proofs_follow(proofs, agent=host.agent, leases=host.leases)
    return host.agent.is_able, host.agent.can_update


def test_slots_of_proofs_that_come_later_need_their_parameters(host: Host) -> None:
    proofs = HostProofs(Snark.GROTH16, (), 2 << 10)
    host.leases.heartbeat()
    host.leases.slots |= {"C2": 0, "SNAP_PROVE": 0}

    assert follow(host, proofs) == (True, True)
    host.leases.slots["SNAP_PROVE"] = 1
    assert follow(host, proofs) == (True, False)
    assert host.leases.report.update_error
    host.leases.slots["C2"] = 1
    assert follow(host, proofs) == (False, False)
    assert host.leases.report.parameters_error
    host.leases.slots |= {"C2": 0, "SNAP_PROVE": 0}
    assert follow(host, proofs) == (True, True)


def test_a_start_claims_no_snap_up_before_it_knows_what_the_chain_takes(host: Host) -> None:
    proofs = HostProofs(Snark.AUTO, (), 2 << 10)

    assert follow(host, proofs) == (True, False)
    host.console.beats = [HeartbeatAnswer(takes_containers=False), HeartbeatAnswer()]
    host.leases.heartbeat()
    assert follow(host, proofs) == (True, False), "it has no parameters of updates"
    host.leases.heartbeat()
    assert follow(host, proofs) == (True, True)


def words_of(folder: Path) -> list[str]:
    (folder / "token").write_text("own")
    return ["--dir", str(folder), "--slots", "pc1=4"]


def learn(folder: Path, words: list[str], size: int) -> Any:
    """The configuration after the console has told a sector size."""
    config = sealer_config(words)
    assert size_learned(config, size)
    return config_for_told_size(config, words, stop=threading.Event())


def test_a_size_that_the_machine_cannot_serve_does_not_end_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.sysconf", lambda name: 1 << 12 if name == "SC_PAGE_SIZE" else 8 * GIB >> 12)
    words = words_of(tmp_path)

    kept = learn(tmp_path, words, 32 * GIB)

    assert (kept.sector_bytes, size_noted(tmp_path)) == (2 << 10, 2 << 10)
    assert not size_learned(kept, 32 * GIB), "it is not told again while it runs"
    assert sealer_config(words).sector_bytes == 2 << 10, "the next start is not refused"
    assert learn(tmp_path, words, 512 << 20).sector_bytes == 512 << 20


def test_a_proposal_for_small_sectors_has_room_for_larger_ones(tmp_path: Path) -> None:
    words = words_of(tmp_path)
    (tmp_path / "config.toml").write_text("[proposed]\nsector_room_bytes = 16384\n")

    assert sealer_config(words).settings.get("sector_room_bytes") == 16 * (2 << 10)
    assert learn(tmp_path, words, 512 << 20).settings.get("sector_room_bytes") == 16 * (512 << 20)
    (tmp_path / "config.toml").write_text("sector_room_bytes = 7\n")
    assert sealer_config(words).settings.get("sector_room_bytes") == 7, "who writes it has it so"


def test_a_host_without_a_proposal_counts_on_room_for_what_it_seals(tmp_path: Path) -> None:
    words = words_of(tmp_path)

    assert sealer_config(words).settings.get("sector_room_bytes") == 64 << 20
    assert sealer_config([*words, "--sector-size", "512MiB"]).settings.get("sector_room_bytes") == 8 * GIB
    assert learn(tmp_path, words, 512 << 20).settings.get("sector_room_bytes") == 8 * GIB


@pytest.mark.parametrize(("level", "rooms"), [("default", 4), ("proposed", 4), ("file", 7), ("pool", 7)])
def test_sectors_larger_than_configured_find_room_or_are_not_claimed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, level: str, rooms: int
) -> None:
    host = Host(tmp_path)
    own = {"default": {"sector_room_bytes": 1, "sectors_max": 0}}
    values = {level: {"sector_room_bytes": 100 * GIB}}
    settings = HostSettings(tmp_path, own if level == "pool" else own | values)
    if level == "pool":
        settings.console_set({"pool.sector_room_bytes": str(100 * GIB)})
    host.agent.capacity.config = replace(host.agent.capacity.config, settings=settings)
    host.leases.registered = Registered(
        worker_id="w", heartbeat_s=1, lease_s=1, poll_ms=1, sector_bytes=10 * GIB
    )
    monkeypatch.setattr(host.leases.report, "hardware", lambda: SimpleNamespace(disk_free_bytes=760 * GIB))

    assert host.agent.capacity.rooms_free() == rooms
    room = host.agent.capacity.config.settings.room_bytes(sector_bytes=10 * GIB)
    places = SimpleNamespace(is_divided=False, unwritten=lambda size: {tmp_path: 2 * size})
    monkeypatch.setattr(host.agent.capacity, "places", places)
    assert host.agent.capacity.rooms_free() == (760 * GIB - 2 * room) // room, (
        "two were claimed and have not written"
    )
    promised = {str(tmp_path.stat().st_dev): room, "another": 99 * room}
    watch = SimpleNamespace(promised=lambda: promised, rooms=lambda: 99)
    monkeypatch.setattr(host.agent.capacity, "watch", watch)
    assert host.agent.capacity.rooms_free() == rooms - 3, "a finished sector is about to take some of it"
