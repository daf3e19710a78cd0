"""Incidents: findings of one cause are one, and nothing else is put under it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from apps.blocks.models import Round
from apps.blocks.states import RoundState
from apps.checks.findings.parts import key_part
from apps.checks.findings.results import Finding, Severity
from apps.checks.models import Alert
from apps.checks.report.cache import codes_write, report_read, report_write
from apps.checks.report.evaluate import evaluate
from apps.checks.report.incidents import is_broken_by, is_near
from apps.checks.report.report import Incident, Report
from apps.checks.selectors.data import CheckData
from apps.checks.table.causes import CAUSES
from apps.checks.table.checks import CHECKS_BY_NAME
from apps.core.clock import now
from apps.core.disk import DiskSpace
from apps.miners.models import Miner
from apps.proving.models import WindowPost
from apps.proving.states import Forecast
from apps.users.rules.principals import SYSTEM
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def head(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.core.processes.supervised", dict)
    monkeypatch.setattr("apps.core.processes.heartbeats", dict)
    factories.network(params={"NetworkName": factories.NETWORK, "BlockDelaySecs": 30})
    factories.head(1000)


def report() -> Report:
    return evaluate(CheckData(SYSTEM))


def of(name: str) -> Incident:
    """The incident whose cause is of a check."""
    [found] = [one for one in report().incidents if one.cause.check.name == name]
    return found


def slow_signer(*addresses: str) -> None:
    row = factories.signer_connection(last_failure="no answer within 5 s", failed_at=now())
    for address in addresses:
        factories.signer_key(address, row)


def own_miner(number: int, **facts: Any) -> Miner:
    """A miner with a worker of its own."""
    return factories.miner(number, worker=factories.bls(number), **facts)


def failed_round(miner: Miner, state: str, *, wins: int = 0, ago: timedelta = timedelta()) -> None:
    epoch = Round.objects.count() + 900
    Round.objects.create(
        miner=miner,
        epoch=epoch,
        base_height=epoch - 1,
        at=now() - ago,
        state=state,
        win_count=wins,
        expected=0.2,
        reason="no answer",
    )


def names(incident: Incident) -> list[str]:
    return sorted(one.check.name for one in incident.effects)


def test_a_slow_signer_is_one_incident_with_all_that_it_breaks() -> None:
    miner = own_miner(2001)
    slow_signer(miner.worker)
    failed_round(miner, RoundState.SIGNER_AWAY)
    failed_round(miner, RoundState.SIGNER_AWAY, wins=1)

    found = of("requests_failed")

    assert names(found) == ["rounds_undrawn", "wins_lost"]
    assert found.cause.check.severity is Severity.WARNING
    assert found.is_critical, "as the worst of what it does"
    assert len(report().incidents) == 1


def test_what_another_signer_or_nobody_broke_stands_by_itself() -> None:
    mine, other, orphan = own_miner(2001), own_miner(2002), own_miner(2003)
    slow_signer(mine.worker)
    failed_round(mine, RoundState.SIGNER_AWAY)
    failed_round(other, RoundState.SIGNER_AWAY, wins=1)
    failed_round(orphan, RoundState.ORPHANED, wins=1)

    whole = report()

    assert names(of("requests_failed")) == ["rounds_undrawn"]
    alone = [one for one in whole.incidents if one.cause.check.name == "wins_lost"]
    assert len(alone) == 2
    assert all(one.is_critical and not one.effects for one in alone)


def test_a_win_that_was_lost_long_before_is_none_of_it() -> None:
    miner = own_miner(2001)
    slow_signer(miner.worker)
    failed_round(miner, RoundState.SIGNER_AWAY, wins=1, ago=timedelta(hours=20))

    assert {one.cause.check.name for one in report().incidents} == {"requests_failed", "wins_lost"}


@pytest.mark.parametrize(
    ("hours", "keys", "is_part"),
    [
        (21, ["one"], True),
        (10, ["one"], False),
        (21, ["one", "two"], False),
        (21, ["another"], False),
    ],
)
def test_what_was_lost_while_the_cause_had_begun_is_part_of_it(
    hours: int, keys: list[str], is_part: bool
) -> None:
    miner = own_miner(2001)
    slow_signer(miner.worker)
    failed_round(miner, RoundState.SIGNER_AWAY, wins=1, ago=timedelta(hours=20))
    [cause] = [one.finding for one in report().found if one.check.name == "requests_failed"]
    since = now() - timedelta(hours=hours)
    Alert.objects.create(
        check_name="requests_failed",
        severity="warning",
        count=1,
        keys=[cause.key if key == "one" else key for key in keys] + ["+wins_lost"],
        began_at=since,
        since=since,
    )

    assert names(of("requests_failed")) == (["wins_lost"] if is_part else [])


def test_wins_of_several_causes_are_under_none() -> None:
    miner = own_miner(2001)
    slow_signer(miner.worker)
    failed_round(miner, RoundState.PROOF_REFUSED, wins=1)
    failed_round(miner, RoundState.SIGNER_AWAY, wins=1)

    assert names(of("requests_failed")) == []


def test_every_finding_is_in_exactly_one_incident() -> None:
    miner = own_miner(2001)
    slow_signer(miner.worker)
    failed_round(miner, RoundState.SIGNER_AWAY, wins=1)
    own_miner(2002, fee_debt=10**18)
    factories.worker("gone", seen_at=now() - timedelta(hours=1))

    whole = report()

    shown = [one.finding.key for incident in whole.incidents for one in incident.found]
    assert sorted(shown) == sorted(one.finding.key for one in whole.found)
    critical = {one.finding.key for one in whole.found if one.is_critical}
    loud = {one.finding.key for incident in whole.incidents if incident.is_critical for one in incident.found}
    assert critical <= loud, "no critical finding is under one that looks harmless"


def test_a_host_that_is_away_explains_the_store_and_the_window_behind_it() -> None:
    miner = own_miner(2001, active_sectors=2)
    host = factories.worker("box", seen_at=now() - timedelta(hours=1))
    factories.store(host, "archive")
    factories.sector(miner, state="PROVING", active=True, store="archive")
    row = factories.deadline(miner, 3, live=2, open_epoch=1005, forecast=Forecast.AT_RISK)
    row.stores, row.unmet_preconditions = ["archive"], {"store": "no prover has the store archive"}
    row.save()

    found = of("hosts_away")

    assert names(found) == ["stores_away", "windows_at_risk"]
    assert found.is_critical


def test_a_window_that_lacks_something_else_besides_is_not_explained() -> None:
    miner = own_miner(2001, active_sectors=2)
    slow_signer(miner.worker)
    row = factories.deadline(miner, 3, live=2, open_epoch=1005, forecast=Forecast.AT_RISK)
    row.unmet_preconditions = {"signer": "no signer", "host": "no prover"}
    row.save()

    assert names(of("requests_failed")) == []


def test_a_topic_shows_the_whole_incident_with_its_cause_from_another() -> None:
    miner = own_miner(2001)
    slow_signer(miner.worker)
    failed_round(miner, RoundState.SIGNER_AWAY, wins=1)

    [found] = report().of(*CHECKS_BY_NAME["wins_lost"].topics).incidents

    assert found.cause.check.name == "requests_failed"


def test_causes_are_kept_with_the_result() -> None:
    miner = own_miner(2001)
    slow_signer(miner.worker)
    failed_round(miner, RoundState.SIGNER_AWAY, wins=1)
    whole = report()

    again = report_read(report_write(whole), codes_write(whole))

    assert again == whole
    assert again.causes


def test_what_causes_were_found_by_is_not_stored_as_it_grows_with_the_pool() -> None:
    miner = own_miner(2001)
    slow_signer(miner.worker)
    failed_round(miner, RoundState.SIGNER_AWAY, wins=1)
    whole = report()

    assert any(one.finding.breaks for one in whole.found)
    assert key_part(miner.worker) not in report_write(whole)


def test_a_prover_that_gave_no_proof_is_not_the_signers_fault() -> None:
    miner = own_miner(2001)
    slow_signer(miner.worker)
    factories.prover_connection(2001, failed_at=now(), last_failure="no answer in time")
    failed_round(miner, RoundState.PROOF_TIMEOUT, wins=1)

    assert names(of("requests_failed")) == []
    assert names(of("winning_proofs_failed")) == ["wins_lost"]


def test_a_failed_proof_has_its_prover_as_cause() -> None:
    miner = own_miner(2001)
    factories.prover_connection(2001, failed_at=now(), last_failure="out of memory")
    failed_round(miner, RoundState.PROOF_REFUSED, wins=1)

    assert names(of("winning_proofs_failed")) == ["wins_lost"]


@pytest.mark.parametrize(
    ("needs", "seen", "expected"),
    [
        ((("key:a", "key:b"),), 0, True),
        ((("key:a",), ("key:c",)), 0, False),
        ((), 0, False),
        (((),), 0, False),
        ((("key:a",),), 3601, False),
    ],
)
def test_all_objects_must_need_what_is_broken(needs: Any, seen: int, expected: bool) -> None:
    cause = Finding("cause", "", breaks=("key:a",), seen_s=1_000_000)
    effect = Finding("effect", "", needs=needs, seen_s=1_000_000 - seen)

    near = is_near(cause, effect, at_s=1_000_000, began=lambda: None)
    assert (is_broken_by(cause, effect) and near) is expected


def test_the_table_of_causes_names_checks_and_has_no_circle() -> None:
    def effects(name: str, above: tuple[str, ...] = ()) -> set[str]:
        assert name not in above, above
        return {name}.union(*(effects(one, (*above, name)) for one in CAUSES.get(name, ())))

    assert {one for name in CAUSES for one in effects(name)} <= CHECKS_BY_NAME.keys()


@pytest.mark.parametrize(
    ("closed", "proof", "expected"),
    [(30, b"proof", ["windows_missed"]), (400, b"proof", []), (30, None, [])],
)
def test_a_missed_window_is_the_signers_if_its_proof_was_not_sent(
    closed: int, proof: bytes | None, expected: list[str]
) -> None:
    miner = own_miner(2001, active_sectors=2)
    slow_signer(miner.worker)
    factories.deadline(miner, 3, live=2, open_epoch=1030)
    epochs = {"open_epoch": 990 - closed, "close_epoch": 1000 - closed, "challenge_epoch": 980 - closed}
    WindowPost.objects.create(
        miner=miner, deadline_index=3, randomness=b"r", state="MISSED", error="-", proof=proof, **epochs
    )

    assert names(of("requests_failed")) == expected


@pytest.mark.parametrize("free", [0, 10**9])
def test_a_full_disk_is_one_incident_with_what_it_stops(
    free: int, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.DISK_RESERVE_BYTES = 2 * 10**9
    row = {"name": "follower", "pid": 7, "up": False, "once": False}
    row |= {"restarts": 4, "last_exit": 1, "exits": []}
    monkeypatch.setattr("apps.core.processes.supervised", lambda: {"follower": row})
    monkeypatch.setattr("apps.checks.findings.console.disk_spaces", lambda: [DiskSpace(free, 10**11)])
    monkeypatch.setattr("apps.core.disk._samples", list)
    factories.head(1001, arrived_at=now() - timedelta(minutes=20))
    found = {one.cause.check.name: names(one) for one in report().incidents}
    if free:
        assert found["console_disk"] == []  # what is below the reserve stops nothing yet
        assert "processes_down" in found
    else:
        assert {"chain_stalled", "processes_down"} <= set(found["console_disk"])
        assert not {"chain_stalled", "processes_down"} & found.keys()
