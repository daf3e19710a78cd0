"""Why sectors, stores and hosts are as they are has codes; rows of before get theirs, restored ones too."""

# ruff: noqa: RUF001  # Chinese has its own colons

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

import pytest
from django.apps import apps
from django.db import connection, transaction
from django.utils.translation import override

from apps.core.alike import fingerprint
from apps.core.marked_texts import FORMATTER
from apps.core.reasons import REASONS, Reason, clauses, code_of, colon, is_whole, quoted, shown_text
from apps.sectors.models import (
    Job,
    JobEvent,
    Sector,
    StoreAttachment,
    StoreEvent,
    StoreMove,
    Worker,
    WorkerCommand,
)
from apps.sectors.reasons import (
    BALANCE_SHORT,
    ENDED_ON_CHAIN,
    EXITED_WITH,
    NODE_REFUSES,
    TOO_MUCH,
    WOULD_REFUSE,
)
from apps.sectors.selectors.failures import ADVICE_BY_CODE, OF_CHAIN, OF_FUNDS, advice_of
from apps.sectors.services.jobs.reports import job_fail
from apps.sectors.services.sealing.steps import sector_stop
from apps.sectors.services.stores.events import event_write
from poolsite.wire.job_reports import Fail, Level
from tests import factories
from tests.unit.apps.sectors.sealing import NOON

pytestmark = pytest.mark.django_db

TEXTS: Final = {
    "paused by ann": "sectors.paused_by",
    "the message ended with 16": "sectors.message_ended",
    "the chain would refuse the pre-commit: the node refuses: no such sector": "sectors.would_refuse",
    "the node refuses: boom": "sectors.node_refuses",
    "one proof for 3 sectors; 0.5 FIL from the miner's balance, 1 FIL sent with the message": "core.clauses",
    "store deep lacks its files: cache/p_aux is missing": "damocles.lacks_files",
    "rack-b was retired: another host starts it over": "sectors.started_over",
    "role window of f01000: taken over": "sectors.role_changed",
    "the worker was restarted": "sectors.worker_restarted",
    "the lease of rack-b expired": "miners.lease_expired",
    "thread 'main' panicked at seal.rs:7": "core.old",
    "moved by hand, as Bob asked": "core.old",
    "paused by the driver: out of memory": "core.old",
}
"""Notes as services of before, hosts and people wrote them, with the codes that they get."""


def test_rows_of_before_have_codes() -> None:
    of = factories.miner()
    sector = factories.sector(of, state="PC1_DONE")
    facts: Any = {"job": sector.job, "event": "FAIL", "from_state": "", "to_state": "", "at": NOON}
    JobEvent.objects.bulk_create(JobEvent(note=text, **facts) for text in TEXTS)

    codes_give()
    codes_give()

    rows = list(JobEvent.objects.order_by("pk"))
    assert {row.note: code_of(row.note) for row in rows} == TEXTS


def codes_give() -> None:
    import_module("apps.sectors.migrations.0033_codes_of_older_reasons").reasons_code(apps, None)


def test_each_column_of_before_gets_its_codes() -> None:
    of, host = factories.miner(), factories.worker("rack-a", last_error="3 of 8 threads have an error")
    sector = factories.sector(of, state="PC1_DONE", error="paused by ann")
    one, other = factories.store(host, "one"), factories.store(host, "other")
    Job.objects.filter(pk=sector.job.pk).update(error="no longer needed")
    StoreAttachment.objects.filter(store=one).update(reason="mount point is empty")
    WorkerCommand.objects.create(worker=host, op="DETACH", error="its host was retired")
    StoreEvent.objects.create(store=one, event="CHANGED", at=NOON, note="renamed from old")
    why = "its host is offline: the old copy is left in one"
    StoreMove.objects.create(
        sector=sector, worker=host, from_store=one, to_store=other, actor="ann", error=why
    )

    codes_give()

    found = {
        "Worker": Worker.objects.get().last_error,
        "WorkerCommand": WorkerCommand.objects.get().error,
        "StoreEvent": StoreEvent.objects.get().note,
        "StoreMove": StoreMove.objects.get().error,
        "StoreAttachment": StoreAttachment.objects.get(store=one).reason,
        "Sector": Sector.objects.get().error,
        "Job": Job.objects.get().error,
    }
    assert {name: code_of(text) for name, text in found.items()} == {
        "Worker": "damocles.threads_fail",
        "WorkerCommand": "sectors.its_host_retired",
        "StoreEvent": "sectors.renamed",
        "StoreMove": "sectors.old_copy_left",
        "StoreAttachment": "core.old",
        "Sector": "sectors.paused_by",
        "Job": "sectors.not_needed",
    }
    move = found["StoreMove"]
    assert code_of(move.values["why"]) == "sectors.its_host_offline"


def test_what_a_version_without_codes_wrote_has_none() -> None:
    sector = factories.sector(factories.miner(), state="PC1_DONE")
    sector_stop(sector, actor="ann", now=NOON)
    sector.refresh_from_db()
    assert (sector.error.code, sector.error.values) == ("sectors.paused_by", {"actor": "ann"})

    with connection.cursor() as cursor:  # as that one writes it
        cursor.execute("update sectors_sector set error = 'out of memory'")

    assert not isinstance(Sector.objects.get().error, Reason)
    codes_give()
    assert Sector.objects.get().error == "out of memory"


def test_what_a_host_said_is_marked_as_its_words() -> None:
    host = factories.worker("rack-a")
    sector = factories.sector(factories.miner(), state="PC1_DONE", held_by=host)
    fail = Fail(
        token=sector.job.lease_token, level=Level.PERMANENT, stage=sector.stage, error="paused by ann"
    )

    job_fail(str(sector.job.uuid), fail=fail, tenant_id=sector.tenant_id, now=NOON)

    texts = [Sector.objects.get().error, Job.objects.get().error, JobEvent.objects.get().note]
    assert [code_of(text) for text in texts] == ["said.host"] * 3
    with override("zh-hans"):
        assert {shown_text(text) for text in texts} == {"paused by ann"}


def test_a_note_that_is_cut_keeps_its_values() -> None:
    store = factories.store(factories.worker("rack-a"), "one")
    long = NODE_REFUSES(reason=quoted("x" * 900, by="node"))

    with transaction.atomic():
        event_write(store, event="FAILED", actor="rack-a", note=long, now=NOON)
        event_write(store, event="FAILED", actor="ann", note="y" * 900, now=NOON)

    reason, typed = StoreEvent.objects.order_by("pk")
    assert (len(reason.note), len(typed.note)) == (500, 500)
    with override("zh-hans"):
        assert shown_text(reason.note) == f"节点拒绝：{'x' * 900}"


def test_advice_goes_by_the_code_whatever_the_words() -> None:
    other_words = Reason("no space for it in the pool of messages", WOULD_REFUSE.code, {})
    assert advice_of("seal", other_words) == str(OF_CHAIN)
    assert {advice_of("seal", kind()) for kind in (BALANCE_SHORT, TOO_MUCH)} == {str(OF_FUNDS)}
    assert advice_of("seal", colon("sector 7", clauses(EXITED_WITH(exit_code=18), "it waits"))) == str(
        OF_CHAIN
    )
    assert "free disk space" in advice_of("seal", quoted("No space left on device", by="host"))
    assert "free disk space" in advice_of("seal", colon("rack-a", quoted("ENOSPC", by="host")))


def test_the_words_of_our_own_reasons_give_no_advice() -> None:
    """Only another program's have no codes: all kinds, with values that have words of ours, too."""
    for kind in REASONS.values():
        names = {name for _, name, _, _ in FORMATTER.parse(kind.template) if name}
        if not is_whole(kind.code) and kind.code not in ADVICE_BY_CODE:
            made = Reason(f"{kind.template} no space, wrong balance", kind.code, dict.fromkeys(names, 1))
            assert advice_of("seal", made).startswith("retry; if it fails again"), kind


def test_failures_are_alike_by_their_code_whatever_the_words() -> None:
    made = WOULD_REFUSE(message="commit", error=quoted("no sector 7", by="node"))
    other_words = Reason("not taken", made.code, {**made.values, "error": quoted("no sector 8", by="node")})
    assert fingerprint("C2", made) == fingerprint("C2", other_words)
    assert fingerprint("C2", made) != fingerprint("C2", WOULD_REFUSE(message="commit", error="wrong proof"))


def test_what_has_ended_on_the_chain_is_known_by_its_code() -> None:
    assert ENDED_ON_CHAIN.made(Reason("it is over there", ENDED_ON_CHAIN.code, {}))
    assert not ENDED_ON_CHAIN.made(quoted("it has already ended on chain.", by="node"))
