"""The agent's loop against a console that answers, is away, or refuses: claims, hints and reports."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any

from msgspec.structs import replace
from structlog.testing import capture_logs

from poolsite.wire.hosts import HeartbeatAnswer, TicketTimes
from poolsite.wire.job_reports import EventAnswer, Level, StageOutputs
from poolsite.wire.jobs import Assignment, JobKind
from poolsite.wire.sealing_rules import EVERY, NewSectors, SealingRules, thread_key
from tests.unit.workers.agent.removal import sector_write
from tests.unit.workers.agent.scripted_host import Host, inputs
from workers.agent.held_job import HeldJob
from workers.agent.journal import Failure, Work
from workers.agent.places import SealingPlaces
from workers.agent.sealing_leftovers import SealingLeftovers
from workers.console.refusals import ConsoleAway, ConsoleRefused, Fenced, VersionsDiffer
from workers.host_settings import SECTOR_ROOM, HostSettings
from workers.processors.errors import BadInput
from workers.processors.layer_drives import LayerDrives
from workers.setting_levels import rules_default, slots_default
from workers.stage_processors import HostProcessors, Location
from workers.storage.stores import Stores


def test_a_claimed_stage_is_written_down_before_its_hint(host: Host) -> None:
    host.take()
    host.agent.tick()

    work = host.journal.work_read("j1")
    assert work is not None
    assert (work.token, work.inputs.stage, host.hints.sent) == (4, "PC2", ["pc2"])


def test_a_result_is_reported_under_the_next_number(host: Host) -> None:
    host.take()
    host.done()
    host.console.answers = [EventAnswer(state="PC2_DONE", seq=8, seal=inputs("PERSIST"))]

    host.agent.tick()

    (event,) = [said for what, said in host.console.said if what == "event"]
    assert (event.token, event.seq, event.state, event.event) == (4, 8, "PC1_DONE", "PC2")
    assert host.agent.held["j1"].inputs.stage == "PERSIST", "it goes on under the same lease"


def test_the_log_names_miner_sector_and_stage(host: Host) -> None:
    with capture_logs() as lines:
        host.take()
        host.done()
        host.console.answers = [EventAnswer(state="PC2_DONE", seq=8, seal=inputs("PERSIST"))]
        host.agent.tick()

    told = [(one["event"], one["miner"], one["sector"], one["stage"]) for one in lines]
    sector = inputs("PC2")
    assert told == [(event, sector.miner_id, sector.number, "PC2") for event in ("claimed", "reported")]


def test_a_result_from_before_a_restart_is_reported_under_the_new_lease(host: Host) -> None:
    host.take(token=4)
    host.done()
    again = Host(host.config.folder)
    again.console.answers = [EventAnswer(state="PC2_DONE", seq=8)]

    again.take(token=6)

    (event,) = [said for what, said in again.console.said if what == "event"]
    assert event.token == 6
    assert again.hints.sent == [], "the stage is not run again"


def test_while_the_console_is_away_the_same_report_is_sent_again(host: Host, monkeypatch: Any) -> None:
    monkeypatch.setattr("workers.agent.loop.REPORT_AGAIN_S", 0.0)
    host.take()
    host.done()
    host.console.answers = [ConsoleAway("x"), ConsoleAway("x"), EventAnswer(state="PC2_DONE", seq=8)]

    for _ in range(3):
        host.agent.tick()

    said = [said for what, said in host.console.said if what == "event"]
    assert len(said) == 3
    assert said[0] == said[1] == said[2]
    assert host.agent.held == {}


def test_a_result_that_an_older_console_does_not_understand_waits_for_it(host: Host) -> None:
    host.take()
    host.done()
    host.console.answers = [VersionsDiffer("unknown field")]

    host.agent.tick()

    assert host.console.kinds() == ["event"]
    assert list(host.agent.held) == ["j1"], "a sector does not fail as its console is to be upgraded"


def test_nothing_is_claimed_while_the_console_does_not_understand(host: Host) -> None:
    host.console.is_behind = True
    host.agent.tick()
    assert host.console.said == []

    host.console.is_behind = False
    host.agent.tick()
    assert [what for what, _ in host.console.said] == ["claim"]


def test_without_parameters_of_updates_no_snap_up_is_claimed(host: Host) -> None:
    host.agent.can_update = False
    host.agent.tick()

    claims = [said for what, said in host.console.said if what == "claim"]
    assert JobKind.SEAL in claims[-1].kinds
    assert JobKind.SNAP_UP not in claims[-1].kinds


def test_a_guests_record_goes_with_the_job(host: Host) -> None:
    given = replace(inputs("C2"), c1_travels=True)
    host.console.jobs.append(Assignment(id="j1", kind=JobKind.SEAL, token=4, seq=7, lease_s=90, seal=given))
    host.agent.tick()
    host.agent.tick()
    host.done(StageOutputs(proof=b"p"))
    host.console.answers = [EventAnswer(state="C2_DONE", seq=8)]

    host.agent.tick()

    assert host.agent.held == {}
    assert host.journal.jobs() == []


def test_a_fenced_report_drops_the_job_and_keeps_its_files(host: Host) -> None:
    host.take()
    host.done()
    host.console.answers = [Fenced(status=409, code="fenced", reason="over", field="token")]

    host.agent.tick()

    assert host.agent.held == {}
    assert host.journal.jobs() == ["j1"]


def test_a_refused_report_becomes_a_failure_that_a_person_sees(host: Host) -> None:
    host.take()
    host.done()
    host.console.answers = [ConsoleRefused(status=400, code="bad", reason="missing", field="outputs.comm_r")]

    host.agent.tick()

    assert host.console.kinds() == ["event", "fail"]
    assert host.console.said[-1][1].level is Level.PERMANENT


def test_a_failure_counts_only_for_its_own_lease(host: Host) -> None:
    job = host.take(token=4)
    (held,) = host.agent.held.values()
    host.journal.failure_write("j1", held.work.id, Failure(token=3, level=Level.TEMPORARY, error="old"))
    host.agent.tick()
    assert host.console.kinds() == []

    host.journal.failure_write("j1", held.work.id, replace(FAILURE, token=job.token))
    host.agent.tick()

    assert host.console.kinds() == ["fail"]
    assert host.agent.held == {}


FAILURE = Failure(token=0, level=Level.TEMPORARY, error="child died")


def test_a_stage_that_nobody_works_on_gets_another_hint(host: Host, monkeypatch: Any) -> None:
    monkeypatch.setattr("workers.agent.loop.HINT_AGAIN_S", 0.0)
    host.take()
    host.agent.tick()
    first = len(host.hints.sent)

    host.agent.tick()
    with host.journal.at_work("j1"):
        host.agent.tick()
        during = len(host.hints.sent)

    assert during == first + 1, "one more while nobody worked, none while somebody did"


def test_a_dead_broker_does_not_stop_the_agent(host: Host, monkeypatch: Any) -> None:
    monkeypatch.setattr("workers.agent.loop.HINT_AGAIN_S", 0.0)
    host.hints.fails = True
    host.take()
    host.agent.tick()

    host.hints.fails = False
    host.agent.tick()

    assert host.hints.sent == ["pc2"]


def test_no_more_of_a_stage_run_than_there_are_slots(host: Host) -> None:
    host.leases.slots["PC2"] = 1
    host.take(job_id="j1")
    host.take(job_id="j2")
    host.agent.tick()

    assert host.hints.sent == ["pc2"]
    assert host.agent.capacity.slots_free()["PC2"] == 0


def test_a_stage_whose_slots_were_taken_away_goes_back(host: Host) -> None:
    host.leases.slots["C2"] = 1
    host.take("C2", "runs")
    host.take("C2", "waits")
    host.leases.slots["C2"] = 0

    host.agent.tick()

    assert list(host.agent.held) == ["runs"], "what runs ends, what waits would wait for ever"
    assert [one.id for one in beat_held(host)] == ["runs"]


def beat_held(host: Host) -> Any:
    """The leases that the next heartbeat keeps."""
    host.leases.heartbeat()
    return host.console.said[-1][1].held


def as_guest(host: Host) -> None:
    """A host whose Celery worker is at the C2 of another host's sector."""
    given = replace(inputs("C2"), c1_travels=True)
    job = Assignment(id="j9", kind=JobKind.SEAL, token=4, seq=7, lease_s=90, seal=given)
    host.console.jobs.append(job)
    host.agent.tick()
    host.agent.tick()


def test_a_guest_is_forgotten_once_nobody_works_on_it(host: Host) -> None:
    as_guest(host)
    with host.journal.at_work("j9"):
        host.leases._lose_all()
        host.agent.tick()
        kept = host.journal.jobs()
    host.agent.tick()

    assert (kept, host.journal.jobs(), host.agent.held) == (["j9"], [], {})


def test_a_start_forgets_all_guests_and_nothing_else(host: Host) -> None:
    as_guest(host)
    host.take("PC1", "own")

    Host(host.journal.root.parent).agent.tick()

    assert host.journal.jobs() == ["own"]


def test_a_parked_job_that_ended_elsewhere_becomes_a_leftover(host: Host) -> None:
    folder = host.config.folder
    stores = Stores(folder, (folder / "store",))
    leftovers = SealingLeftovers(
        places=SealingPlaces(folder, host.journal), stores=stores, journal=host.journal
    )
    host.leases.parked = host.agent.parked
    for job_id in ("j1", "j2"):
        host.journal.work_write(job_id, Work(token=4, inputs=inputs("PC2")))
    sector_write(folder, "s-t01000-1")
    host.console.beats = [HeartbeatAnswer(over=("j1", "j2"))]

    host.leases.heartbeat()
    with host.journal.at_work("j2"):
        host.agent.tick()
        leftovers.read()
        assert (host.journal.jobs(), leftovers.reported()) == (["j2"], ()), "somebody still works on it"
    host.agent.tick()
    leftovers.read()

    assert host.journal.jobs() == []
    assert [one.number for one in leftovers.reported() or ()] == [1]
    assert [said.parked for what, said in host.console.said if what == "heartbeat"] == [("j1", "j2")]


def test_a_job_that_is_held_is_neither_parked_nor_forgotten(host: Host) -> None:
    host.leases.parked = host.agent.parked
    host.take()
    host.console.beats = [HeartbeatAnswer(over=("j1",))]

    host.leases.heartbeat()
    host.agent.tick()

    assert host.console.said[-1][1].parked == ()
    assert host.journal.jobs() == ["j1"]


def test_a_thread_is_taken_before_the_next_claim_counts_the_free_ones(host: Host) -> None:
    disks = [host.config.folder / name for name in ("disk0", "disk1")]
    for disk in disks:
        disk.mkdir()
    locations = [Location(str(disk)) for disk in disks]
    host.agent.capacity.places = SealingPlaces(host.config.folder, host.journal, locations)

    host.take("ADD_PIECE")
    host.agent.claim_after = 0.0
    host.agent.tick()

    rooms = [said.new_sectors for what, said in host.console.said if what == "claim"]
    assert (rooms[0], rooms[-1]) == (2, 1), "nobody has begun the stage yet"


def test_a_miner_that_no_sealing_store_takes_is_left_to_its_stage(host: Host) -> None:
    def refused(*_: object) -> None:
        raise BadInput("no sealing store of this host takes sectors of f01000")

    places: Any = SimpleNamespace(
        is_divided=False,
        locations=(),
        unwritten=lambda _size: {},
        root=refused,
        rules_of_job=lambda _job: SealingRules(),
    )
    host.agent.capacity.places = places

    host.take("ADD_PIECE")

    assert len(host.hints.sent) == 1, "the stage runs, and says so"


def test_room_that_cannot_be_counted_ends_no_host(host: Host, monkeypatch: Any) -> None:
    def broken() -> int:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as disk:
        disk.setattr(host.agent.capacity, "rooms_free", broken)
        host.agent.tick()
    assert "claim" not in [what for what, _ in host.console.said]

    host.take()
    assert host.hints.sent == ["pc2"], "the next claim counts again"


def with_threads(host: Host, **told: str) -> None:
    """A host with two sealing threads; `told` are rules of the first."""
    locations = [Location(str(host.config.folder / f"disk{number}"), number=number) for number in (1, 2)]
    for one in locations:
        (host.config.folder / one.path).mkdir()
    plans = {thread_key(one.number, "plan"): one.plan for one in locations}
    own: Any = {"default": {**slots_default(), **rules_default(), SECTOR_ROOM: 1}, "file of thread": plans}
    settings = HostSettings(host.config.folder, own)
    settings.console_set({f"thread.{thread_key(1, name)}": value for name, value in told.items()})
    object.__setattr__(host.config, "settings", settings)
    host.agent.capacity.places = SealingPlaces(host.config.folder, host.journal, locations, settings=settings)


def claims(host: Host) -> list[tuple[int, NewSectors]]:
    return [(said.new_sectors, said.takes) for what, said in host.console.said if what == "claim"]


def test_threads_with_other_rules_ask_in_turns_each_for_its_own(host: Host) -> None:
    with_threads(host, allowed_miners="f01000")

    for _ in range(4):
        host.agent.claim_after = 0.0
        host.agent.tick()

    only = (1, NewSectors(miners=(1000,)))
    assert sorted(claims(host), key=repr) == sorted([only, (1, EVERY)] * 2, key=repr)


def test_threads_with_the_same_rules_ask_at_once(host: Host) -> None:
    with_threads(host)

    host.agent.claim_after = 0.0
    host.agent.tick()

    assert claims(host)[-1] == (2, EVERY)


def test_a_host_without_threads_asks_by_its_own_rules(host: Host) -> None:
    host.config.settings.console_set({"pool.sealing.enable_deals": "false"})
    host.agent.claim_after = 0.0
    host.agent.tick()

    assert claims(host)[-1][1] == NewSectors(takes_data=False)


def test_a_sector_that_no_thread_takes_any_more_is_given_back(host: Host) -> None:
    with_threads(host, allowed_miners="f01001")
    host.config.settings.console_set(
        {f"thread.{thread_key(number, 'allowed_miners')}": "f01001" for number in (1, 2)}
    )

    host.take("ADD_PIECE")

    assert host.console.kinds() == ["release"]
    assert (host.agent.held, host.journal.jobs(), host.hints.sent) == ({}, [], [])


def test_a_failure_says_how_often_its_thread_tries_and_after_what_pause(host: Host) -> None:
    with_threads(host, max_retries="2", recover_interval="90s")
    host.take("ADD_PIECE")
    (held,) = host.agent.held.values()
    failure = Failure(token=held.token, level=Level.TEMPORARY, error="disk full")
    host.journal.failure_write(held.id, held.work.id, failure)

    host.agent.tick()

    (said,) = (said for what, said in host.console.said if what == "fail")
    assert (said.attempts_max, said.pause_s) == (3, 90)


def test_the_thread_says_whether_pc2_ends_with_a_look(host: Host) -> None:
    with_threads(host, verify_after_pc2="true")
    host.take("ADD_PIECE")
    (held,) = host.agent.held.values()

    assert held.work.verifies is False, "the sector had no thread when the stage was written down"
    held.go_on(inputs("PC2"), seq=8)
    host.agent.tick()

    written = host.journal.work_read(held.id)
    assert written is not None
    assert written.verifies


def test_a_batch_on_drives_hears_how_long_tickets_last(host: Host) -> None:
    """Not of a sector that is proven or was pre-committed; after a start the console is waited for."""
    drives = LayerDrives(folder="/layers", drives=("/a",))
    host.agent.config = dataclasses.replace(host.config, children=HostProcessors(layers=drives))
    given = replace(inputs("PC1"), ticket=bytes(32), ticket_epoch=100)

    host.agent.take(Assignment(id="j1", kind=JobKind.SEAL, token=4, seq=7, lease_s=90, seal=given))
    host.agent.tick()
    assert host.hints.sent == []
    times = TicketTimes(genesis_s=1_000, epoch_s=30, lookback=900, lasts=3_720)
    host.console.beats.append(HeartbeatAnswer(tickets=times))
    host.leases.heartbeat()
    host.agent.tick()

    work = host.journal.work_read("j1")
    assert work is not None
    assert len(host.hints.sent) == 1
    assert (work.ticket_end_s, work.ticket_fresh_s) == (1_000 + 3_820 * 30, 2_820 * 30)
    of_others = [
        replace(given, ticket_epoch=None),
        replace(given, state="REBUILD_STARTED"),
        replace(given, seal_proof=15),
    ]
    for number, other in enumerate(of_others):
        held = HeldJob(id=f"o{number}", token=1, seq=1, lease_s=90, inputs=other)
        assert host.agent._ticket_times(held) == held.work


def test_that_labels_would_be_too_late_is_told_as_such(host: Host) -> None:
    host.take("PC1")
    (held,) = host.agent.held.values()
    failure = Failure(token=held.token, level=Level.TEMPORARY, error="too late", needs_ticket=True)
    host.journal.failure_write(held.id, held.work.id, failure)

    host.agent.tick()

    [said] = [said for what, said in host.console.said if what == "fail"]
    assert said.needs_ticket
