"""What the agent does by what its console says: leases lost, commands, limits, an upgrade."""

from __future__ import annotations

import errno
import time
from pathlib import Path
from typing import Any, Final

import pytest

from poolsite.wire.commands import Command, Operation
from poolsite.wire.host_settings import Setting
from poolsite.wire.hosts import VERSION, HeartbeatAnswer, Lost
from poolsite.wire.job_reports import EventAnswer
from tests.unit.workers.agent.scripted_host import Host, inputs
from tests.waiting import until
from workers.agent.drives_reset import DrivesReset
from workers.config import DEFAULT_SLOTS
from workers.console.refusals import ConsoleAway
from workers.host_settings import HostSettings


def test_a_lost_lease_drops_the_job(host: Host) -> None:
    host.take()
    host.console.beats = [HeartbeatAnswer(lost=(Lost(id="j1", reason="over"),))]

    host.leases.heartbeat()
    host.agent.tick()

    assert host.agent.held == {}


def test_a_lease_that_was_claimed_anew_meanwhile_is_not_lost(host: Host, monkeypatch: Any) -> None:
    host.take(token=4)
    host.console.beats = [HeartbeatAnswer(lost=(Lost(id="j1", reason="over"),))]
    beat = host.console.heartbeat

    def claimed_meanwhile(worker: str, said: Any) -> Any:
        host.take(token=5)
        return beat(worker, said)

    monkeypatch.setattr(host.console, "heartbeat", claimed_meanwhile)
    host.leases.heartbeat()

    assert not host.leases.is_lost("j1")


def test_news_of_work_that_was_lost_do_not_bring_the_lease_back(host: Host) -> None:
    job = host.take(token=4)
    host.console.beats = [HeartbeatAnswer(lost=(Lost(id="j1", reason="over"),))]
    host.leases.heartbeat()

    host.leases.track(job.id, host.leases._held[job.id], lease_s=4)

    assert host.leases.is_lost("j1")


PLAN: Final = {
    "host.slots.PC1": "5",
    "host.slots.NONSENSE": "1",
    "host.slots.PC2": "-1",
    "file.slots.C1": "7",
}


def test_commands_are_obeyed_and_confirmed_with_the_next_heartbeat(host: Host) -> None:
    drain = Command(id="c1", op=Operation.DRAIN)
    plan = Command(id="c2", op=Operation.SET_PLAN, args=PLAN)
    host.console.beats = [HeartbeatAnswer(commands=(drain, plan))]

    host.leases.heartbeat()
    host.leases.heartbeat()

    assert host.agent.capacity.rooms_free() == 0
    assert (host.leases.slots["PC1"], host.leases.slots["PC2"]) == (5, DEFAULT_SLOTS["PC2"])
    beat = host.console.said[-1][1]
    assert beat.done_commands == ("c1", "c2")
    assert Setting(key="slots.PC1", value="5", origin="host") in beat.settings
    assert Setting(key="slots.C1", value=str(DEFAULT_SLOTS["C1"]), origin="default") in beat.settings


def test_a_plan_survives_the_host_and_goes_with_the_next(host: Host) -> None:
    host.console.beats = [HeartbeatAnswer(commands=(Command(id="c", op=Operation.SET_PLAN, args=PLAN),))]
    host.leases.heartbeat()

    again = HostSettings(host.config.folder, host.config.settings.own)
    assert (again.slots()["PC1"], again.configured) == (5, PLAN)
    again.console_set({})
    assert HostSettings(host.config.folder, host.config.settings.own).slots() == DEFAULT_SLOTS


def test_no_more_sectors_are_begun_than_the_host_may_seal_at_a_time(host: Host) -> None:
    host.config.settings.console_set({"pool.sectors_max": "1"})
    assert host.agent.capacity.rooms_free() == 1

    host.take(token=1)
    host.agent.tick()

    assert host.agent.capacity.rooms_free() == 0


def test_the_log_goes_to_a_console_that_asks_for_it(host: Host) -> None:
    host.leases.log_tail = lambda: ("one", "two")
    host.console.beats = [HeartbeatAnswer(wants_log=True), HeartbeatAnswer()]

    beats = []
    for _ in range(3):
        host.leases.heartbeat()
        beats.append(host.console.said[-1][1].log)

    assert beats == [(), ("one", "two"), ()]


def test_a_newer_consoles_command_is_over_with_the_remedy(host: Host) -> None:
    told = Command(id="c1", op="sing"), Command(id="c2", op=Operation.PAUSE)
    host.console.beats = [HeartbeatAnswer(commands=told)]

    host.leases.heartbeat()
    host.leases.heartbeat()

    beat = host.console.said[-1][1]
    remedy = f"this host ({VERSION}) does not know the command sing: upgrade the host"
    assert (beat.done_commands, beat.command_errors) == (("c1", "c2"), {"c1": remedy})
    assert (beat.last_error, beat.is_paused) == (remedy, True)


def test_drives_that_could_not_be_reset_are_the_last_error_until_they_are(host: Host) -> None:
    answers = [None, "drive 2 is in use", ""]
    host.leases.drives_reset = lambda _: answers.pop(0)
    told = [Command(id=one, op=Operation.RESET_DRIVES) for one in ("c1", "c1", "c2")]
    host.console.beats = [HeartbeatAnswer(commands=(one,)) for one in told]

    for _ in range(4):
        host.leases.heartbeat()

    said = [(beat.done_commands, beat.last_error) for _, beat in host.console.said[-4:]]
    error = "reset-drives: drive 2 is in use"
    assert said == [((), ""), ((), ""), (("c1",), error), (("c2",), "")]


def test_drives_are_reset_by_a_program_whose_error_is_the_answer(tmp_path: Path) -> None:
    file, command = tmp_path / "config.toml", Command(id="c1", op=Operation.RESET_DRIVES)
    file.touch()
    resets = DrivesReset(tmp_path, file)

    assert resets.order(command) is None
    until(lambda: resets.order(command) is not None)

    assert resets.order(command) == f"{file} names no drives in [layers]"


def test_a_paused_host_claims_nothing(host: Host) -> None:
    host.console.beats = [HeartbeatAnswer(commands=(Command(id="c", op=Operation.PAUSE),))]
    host.leases.heartbeat()
    host.console.said.clear()
    host.agent.claim_after = 0.0

    host.agent.tick()

    assert host.console.said == []


def test_nothing_is_claimed_for_a_stage_whose_kernels_are_being_compiled(host: Host) -> None:
    cold = {"PC1", "PC2"}
    host.agent.capacity.uncompiled_stages = lambda: cold
    host.agent.claim_after = 0.0

    host.agent.tick()

    claim = host.console.said[-1][1]
    assert (claim.stages["PC1"], claim.stages["PC2"]) == (0, 0)
    assert claim.stages["FINALIZE"] == DEFAULT_SLOTS["FINALIZE"]
    cold.clear()
    assert host.agent.capacity.slots_free()["PC1"] == DEFAULT_SLOTS["PC1"]


def test_the_console_hears_how_many_kernels_are_compiled(host: Host) -> None:
    host.leases._has_news = False

    host.leases.report.kernels_report(done=3, total=8)
    host.leases.heartbeat()

    hardware = host.console.said[-1][1].hardware
    assert (hardware.kernels_done, hardware.kernels_total) == (3, 8)
    host.leases.report.kernels_report(done=3, total=8)
    assert not host.leases._has_news


def test_a_short_lease_is_renewed_in_time(host: Host) -> None:
    job = host.take()
    held = host.agent.held[job.id]
    host.leases.heartbeat()
    host.leases._beaten_at = time.monotonic() - 1.5
    host.leases._has_news = False
    assert not host.leases._is_due()

    host.leases.track(job.id, host.leases._held[job.id], lease_s=4)

    assert host.leases._is_due(), "a third of 4 s is over"
    assert held.token == 4


class Bell:
    """Return what the test says."""

    def __init__(self) -> None:
        self.is_quiet = False
        self.listened = 0

    def listen(self) -> None:
        self.listened += 1


def test_an_idle_host_claims_only_once_it_hears_of_work(host: Host) -> None:
    bell: Any = Bell()
    host.agent.bell = bell

    host.agent.tick()
    assert ([what for what, _ in host.console.said], bell.listened) == (["claim"], 1)
    bell.is_quiet, host.agent.claim_after = True, 0.0
    assert host.agent.tick() == 0.5
    assert len(host.console.said) == 1

    bell.is_quiet = False
    host.take()
    assert list(host.agent.held) == ["j1"]
    bell.is_quiet, host.agent.claim_after, asked = True, 0.0, len(host.console.said)
    host.agent.tick()
    assert len(host.console.said) == asked + 1, "a host that works goes on to claim"


def test_a_full_disk_ends_neither_the_loop_nor_the_other_jobs(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.take("PC1", "j1")
    write = host.journal.work_write

    def full(job_id: str, work: Any) -> None:
        if job_id == "j2":
            raise OSError(errno.ENOSPC, "No space left on device")
        write(job_id, work)

    monkeypatch.setattr(host.journal, "work_write", full)
    host.take("PC2", "j2")
    host.take("C1", "j3")

    assert host.hints.sent == ["pc1", "c1"]
    assert set(host.agent.held) == {"j1", "j2", "j3"}, "their leases are kept"
    assert "No space left" in host.leases.last_error


def test_an_upgrade_ends_with_the_stages_that_run(host: Host) -> None:
    host.leases.slots["PC2"] = 1
    host.take(job_id="j1")
    host.take(job_id="waits")
    host.leases.commands_run((Command(id="c1", op=Operation.UPGRADE),))
    claims = len([what for what, _ in host.console.said if what == "claim"])

    host.agent.claim_after = 0.0
    host.agent.tick()
    left = list(host.agent.held)
    host.done()
    host.console.answers = [EventAnswer(state="PC2_DONE", seq=8, seal=inputs("PERSIST"))]
    host.agent.tick()

    assert left == ["j1"], "what waits for a slot goes on after the next start"
    assert host.agent.held == {}
    assert host.journal.jobs() == ["j1"], "its files stay"
    assert len([what for what, _ in host.console.said if what == "claim"]) == claims
    assert host.leases.upgrade_reported()
    assert host.console.said[-1][1].done_commands == ("c1",)
    host.leases.commands_run((Command(id="c2", op=Operation.RESUME),))
    assert not host.leases.is_upgrading


def test_an_upgrade_waits_until_the_console_knows(host: Host, monkeypatch: Any) -> None:
    def away(_worker: str, _said: Any) -> Any:
        raise ConsoleAway("x")

    host.leases.commands_run((Command(id="c1", op=Operation.UPGRADE),))
    monkeypatch.setattr(host.console, "heartbeat", away)

    assert not host.leases.upgrade_reported(), "the next start would be told to end again"
