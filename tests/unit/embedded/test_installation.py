"""What a start does to a database and a Redis that others use: it adds, or refuses in one sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from apps.chain.models import Node
from apps.core import liveness
from apps.core.leader import BLOCKS_LOCK, FOLLOWER_LOCK, PREPARE_LOCK, Leadership, database_is_led
from apps.core.liveness import heartbeat_send, redis_claim
from apps.core.models import ContractStep
from apps.core.redis_clients import redis_client
from apps.messages.models import ApprovalRule
from poolsite.embedded import installation
from poolsite.embedded.errors import RequirementMissing

if TYPE_CHECKING:
    from pytest_django.fixtures import Settings


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "IDLE_WAIT_S", 0.1)
    monkeypatch.setattr(installation, "RETRY_S", 0.02)


@pytest.mark.django_db
@pytest.mark.parametrize("key", [FOLLOWER_LOCK, BLOCKS_LOCK])
def test_a_pool_at_work_is_known_by_its_leaders(key: int) -> None:
    assert not database_is_led()
    with Leadership(key) as other:
        assert other.try_lead()
        assert database_is_led()
    assert not database_is_led()


@pytest.mark.django_db
def test_a_database_at_work_is_migrated_by_command_only(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    monkeypatch.setattr(installation, "call_command", lambda name, **_: done.append(name))
    plan = "django.db.migrations.executor.MigrationExecutor.migration_plan"
    with Leadership(FOLLOWER_LOCK) as other:
        assert other.try_lead()
        installation.tables_complete(by_command=False, verbosity=0)
        monkeypatch.setattr(plan, lambda *_: ["something"])
        with pytest.raises(
            ImproperlyConfigured, match=r"would be migrated, but another .*, or run `make migrate`"
        ):
            installation.tables_complete(by_command=False, verbosity=0)
        assert done == ["migrate"], "where nothing is left to do"
        installation.tables_complete(by_command=True, verbosity=0)
    installation.tables_complete(by_command=False, verbosity=0)

    assert done == ["migrate"] * 3


@pytest.mark.django_db
def test_a_newer_database_that_allows_this_version_stays_as_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(installation, "call_command", lambda *_a, **_k: pytest.fail("it was migrated"))
    MigrationRecorder(connection).record_applied("sectors", "9999_of_tomorrow")

    installation.tables_complete(by_command=False, verbosity=0)

    assert "newer version (sectors.9999_of_tomorrow), which allows this one" in capsys.readouterr().err


@pytest.mark.django_db
def test_a_newer_database_that_needs_newer_versions_is_refused() -> None:
    MigrationRecorder(connection).record_applied("sectors", "9999_drop")
    ContractStep.objects.create(migration="sectors.9999_drop", needs="sectors.9998_of_tomorrow")

    with pytest.raises(
        ImproperlyConfigured, match=r"no longer allows .* sectors.9999_drop .* sectors.9998_of_tom"
    ):
        installation.tables_complete(by_command=True, verbosity=0)


@pytest.mark.django_db
def test_a_database_that_a_newer_version_left_half_migrated_is_refused() -> None:
    recorder = MigrationRecorder(connection)
    recorder.record_applied("sectors", "9999_of_tomorrow")
    recorder.record_unapplied("core", "0003_consoles_and_backups")

    with pytest.raises(
        ImproperlyConfigured, match=r"sectors.9999_of_tomorrow\), and it lacks core.0003_consoles_and_backups"
    ):
        installation.tables_complete(by_command=True, verbosity=0)


@pytest.mark.django_db
def test_a_newer_database_that_says_nothing_of_versions_is_refused() -> None:
    MigrationRecorder(connection).record_applied("sectors", "9999_of_tomorrow")
    with connection.cursor() as cursor:
        cursor.execute("drop table core_contractstep")

    with pytest.raises(
        ImproperlyConfigured, match=r"migrated by a newer version \(sectors.9999_of_tomorrow\)"
    ):
        installation.tables_complete(by_command=False, verbosity=0)


@pytest.mark.django_db
def test_a_pool_at_work_is_not_pointed_to_other_nodes(settings: Settings) -> None:
    Node.objects.create(url="http://one.example:1234/rpc/v1", is_configured=True)
    Node.objects.create(url="http://by.hand:1234/rpc/v1", is_configured=False)
    with Leadership(FOLLOWER_LOCK) as other:
        assert other.try_lead()
        settings.CHAIN_URLS = ["http://one.example:1234/rpc/v1"]
        installation.require_same_nodes()
        settings.CHAIN_URLS = ["http://127.0.0.1:1234/rpc/v1"]
        with pytest.raises(ImproperlyConfigured, match="CHAIN_URLS differs"):
            installation.require_same_nodes()
    installation.require_same_nodes()
    settings.CHAIN_URLS = ["word:http://one.example"]
    with pytest.raises(ImproperlyConfigured, match="is not a node address"):
        installation.require_same_nodes()


@pytest.mark.django_db
def test_two_starts_prepare_one_after_the_other(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first = Leadership(PREPARE_LOCK)
    assert first.try_lead()
    monkeypatch.setattr("time.sleep", lambda _s: first.resign())

    with installation.prepare_lock():
        assert not Leadership(PREPARE_LOCK).try_lead()

    assert capsys.readouterr().err.count("waiting for another start") == 1


@pytest.mark.usefixtures("pool_redis")
def test_a_redis_of_another_pool_is_not_shared() -> None:
    redis_client().delete(liveness.KEY, liveness.POOL_KEY)
    assert redis_claim("one")
    heartbeat_send("web-1")

    assert redis_claim("one"), "its own next start"
    assert not redis_claim("two")
    redis_client().delete(liveness.KEY)
    assert redis_claim("two"), "nobody of the first is at work any more"
    assert redis_client().get(liveness.POOL_KEY) == "two"


@pytest.mark.django_db
@pytest.mark.usefixtures("pool_redis")
def test_a_shared_redis_ends_the_start_and_an_absent_one_does_not(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    redis_client().set(liveness.POOL_KEY, "another")
    heartbeat_send("web-1")
    with pytest.raises(RequirementMissing, match="another pool's processes"):
        installation.require_own_redis()

    settings.REDIS_URL = "unix:///nowhere/redis.sock"
    installation.require_own_redis()

    assert "REDIS_URL was not checked" in capsys.readouterr().err


@pytest.mark.django_db
def test_a_password_that_redis_refuses_ends_the_start(pool_redis: str, settings: Settings) -> None:
    settings.REDIS_URL = pool_redis.replace("unix://", "unix://pool:wrong@")

    with pytest.raises(RequirementMissing, match="REDIS_URL cannot be used: "):
        installation.require_own_redis()


@pytest.mark.django_db
@pytest.mark.usefixtures("pool_redis")
def test_processes_that_have_just_ended_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "IDLE_WAIT_S", 60.0)
    monkeypatch.setattr("time.sleep", lambda _s: redis_client().delete(liveness.KEY))
    redis_client().set(liveness.POOL_KEY, "another")
    heartbeat_send("web-1")

    installation.require_own_redis()

    assert redis_client().get(liveness.POOL_KEY) != "another"


@pytest.mark.django_db
@pytest.mark.parametrize(("take_over", "asked"), [(False, ["network", "redis"]), (True, [])])
def test_a_takeover_is_refused_by_nothing_once_it_has_replaced_tokens(
    take_over: bool, asked: list[str], monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    """Its refusals say that nothing was changed."""
    done: list[str] = []
    monkeypatch.setenv("CHAIN_URLS", "http://one.example:1234")
    monkeypatch.setattr(installation, "require_database", lambda: None)  # the tests' own is none for pools
    monkeypatch.setattr(installation, "call_command", lambda name, **_: done.append(name))
    monkeypatch.setattr(installation, "require_own_redis", lambda: done.append("redis"))
    settings.REDIS_URL = "redis://elsewhere"

    installation.install(take_over=take_over)

    assert done[done.index("bootstrap") + 1 :] == asked


def constraint_drop() -> None:
    with connection.cursor() as cursor:
        cursor.execute("alter table messages_approvalrule drop constraint approval_rule_once")


@pytest.mark.django_db
def test_a_constraint_that_an_old_server_left_out_is_added() -> None:
    constraint_drop()

    installation.constraints_complete()

    with connection.cursor() as cursor:
        cursor.execute("select pg_get_indexdef('approval_rule_once'::regclass)")
        assert "NULLS NOT DISTINCT" in cursor.fetchone()[0]
    installation.constraints_complete()


@pytest.mark.django_db
def test_rows_against_a_constraint_that_was_left_out_end_the_start() -> None:
    constraint_drop()
    for _ in range(2):
        ApprovalRule.objects.create(method=16, created_by="alice")
    with connection.cursor() as cursor:
        cursor.execute("set constraints all immediate")

    with pytest.raises(ImproperlyConfigured, match="left out the constraint approval_rule_once, and rows of"):
        installation.constraints_complete()
