"""Rows from before reasons had codes, as in a backup, get theirs; what matches none stays as it was."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, Final

import pytest
from django.apps import apps
from django.db import connection
from django.utils.translation import override

from apps.automation.models import AutoRule
from apps.blocks.models import F3Lease, Round
from apps.blocks.states import RoundState
from apps.chain.models import Node
from apps.checks.models import Alert, AlertChannel, AlertEntry, Notification
from apps.core.clock import now
from apps.core.reasons import code_of, shown_text
from apps.market.states import DealState
from apps.messages.models import MessageApproval, MessageEvent
from apps.wallets.models import RemoteWallet
from tests import factories
from tests.mk20 import sized
from tests.people import tenant

pytestmark = pytest.mark.django_db


def lost_round() -> Any:
    return Round.objects.create(
        miner=factories.miner(), epoch=7, base_height=6, state=RoundState.WON, at=now()
    )


def remote_wallet() -> Any:
    return RemoteWallet.objects.create(tenant=tenant("alice"), name="cold", url="u", token="t")


def event(name: str) -> Any:
    return MessageEvent.objects.create(message=factories.message(), at=now(), event=name)


def notification() -> Any:
    channel = AlertChannel.objects.create(name="ops", kind="WEBHOOK", target="t")
    return Notification.objects.create(
        channel=channel, event="TEST", text="a test", body={}, created_at=now()
    )


def alert() -> Any:
    return Alert.objects.create(
        check_name="hosts_away", title="", severity="warning", say="", count=1, began_at=now(), since=now()
    )


def alert_entry() -> Any:
    return AlertEntry.objects.create(alert=alert(), at=now(), kind="CHANGED", severity="warning", count=1)


def comment() -> Any:
    return AlertEntry.objects.create(alert=alert(), at=now(), kind="COMMENTED", severity="warning", count=1)


findings_code = import_module("apps.checks.migrations.0019_codes_of_older_findings").findings_code
FAILURES: Final = "gateway.migrations.0008_codes_of_older_failures.failures_code"
FINDINGS: Final = "checks.migrations.0019_codes_of_older_findings.findings_code"

CASES: Final[dict[str, tuple[str, Callable[[], Any], str, dict[str, str]]]] = {
    "alert": (
        FINDINGS,
        alert,
        "say",
        {
            "sealer offline": "checks.hosts_away",
            "no new head for 2 min 05 s": "checks.head_late",
            "upgrade nv29 in 3 d 04 h": "checks.upgrade_in",
            "no node can be read; 2 stores with 1 sector unreachable": "core.clauses",
            "1 sector paused": "checks.paused",
            "3 messages stuck, the most urgent: no gas": "checks.stuck_most",
            "told by a version that nobody knows": "core.old",
        },
    ),
    "line of an alert": (
        FINDINGS,
        alert_entry,
        "text",
        {"2 sectors of f01000 about to be terminated": "checks.terminations", "": ""},
    ),
    "comment on an alert": (FINDINGS, comment, "text", {"no node can be read": "", "sealer offline": ""}),
    "connection of a signer": (
        FAILURES,
        factories.signer_connection,
        "last_failure",
        {
            "no answer in time": "refused.no_answer",
            "the key is locked": "core.old",
            "lotus: wallet is locked": "core.old",
            "": "",
        },
    ),
    "connection of a prover": (
        FAILURES,
        lambda: factories.prover_connection(1000),
        "last_failure",
        {"channel closed": "refused.no_answer"},
    ),
    "deal": (
        "market.migrations.0005_reasons_of_older_rows.reasons_code",
        lambda: factories.deal(factories.miner(), sized(b"data"), state=DealState.REFUSED),
        "reason",
        {
            "its data did not come before its start epoch 900": "market.late_for_start",
            "1 deals wait for their data or a sector": "market.deals_wait",
            "chunk 3 is gone from the disk: send the data again": "market.chunk_gone",
            "deal proposal is malformed": "core.old",
        },
    ),
    "round": (
        "blocks.migrations.0011_reasons_of_older_rows.reasons_code",
        lost_round,
        "reason",
        {
            "the epoch ended before the block was signed": "blocks.epoch_ended",
            "the signer refused: double-fork fault at 7": "blocks.fault_refused",
            "ErrOutOfGas(7)": "core.old",
        },
    ),
    "lease": (
        "blocks.migrations.0011_reasons_of_older_rows.reasons_code",
        lambda: F3Lease.objects.create(miner=factories.miner()),
        "reason",
        {
            "no blocks are made for this miner": "blocks.not_mined",
            "the node that votes for it is unavailable: another may vote from instance 9 on": (
                "blocks.voter_away"
            ),
        },
    ),
    "miner": (
        "miners.migrations.0012_reasons_of_older_rows.reasons_code",
        factories.miner,
        "error",
        {
            "CreateMiner ended with exit code 16": "miners.creation_refused",
            "CreateMiner was failed": "miners.creation_ended",
            "epoch 7 has passed": "messages.expired",
        },
    ),
    "role": (
        "miners.migrations.0012_reasons_of_older_rows.reasons_code",
        lambda: factories.role(factories.miner(), "rack-a", "seal"),
        "note",
        {
            "its lease expired: rack-b took over": "miners.taken_over",
            "the lease of rack-b expired": "miners.lease_expired",
            "separated": "miners.separated",
        },
    ),
    "node": (
        "chain.migrations.0006_codes_of_older_errors.errors_code",
        lambda: Node.objects.create(url="http://127.0.0.1:1234/rpc/v1"),
        "error",
        {"7 epochs behind the newest head": "chain.lags", "connection refused by peer": "core.old"},
    ),
    "remote wallet": (
        "wallets.migrations.0007_codes_of_older_errors.errors_code",
        remote_wallet,
        "error",
        {
            "these keys could not prove themselves: f1abc, f1def": "wallets.unproven",
            "connection refused by peer": "core.old",
        },
    ),
    "automatic rule": (
        "automation.migrations.0004_codes_of_older_reasons.reasons_code",
        lambda: AutoRule.objects.create(tenant=tenant("alice"), kind="top_up", settings={}),
        "note",
        {
            "nothing is due": "automation.nothing_due",
            "2 FIL were moved today: the daily limit is used up": "automation.money_limit",
            "3 sectors extended today: the daily limit is used up": "automation.sectors_limit",
            "its message rule:7 failed with exit code 16": "automation.failed_with",
            "sector 7: it has already ended on chain": "sectors.sector_of",
            "the chain would refuse it: no such actor": "sectors.would_refuse_it",
            "connection refused by peer": "core.old",
        },
    ),
    "notification": (
        "checks.migrations.0016_codes_of_older_deliveries.errors_code",
        notification,
        "error",
        {
            "HTTP status 500": "checks.status",
            "HTTP status 404: no_service": "checks.status_said",
            "no response: timed out": "checks.no_response",
            "not sent within 24 hours": "checks.too_old",
            "refused: 310000": "checks.refused",
        },
    ),
    "rule of an approval": (
        "messages.migrations.0021_codes_of_older_timelines.reasons_code",
        lambda: MessageApproval.objects.create(message=factories.message(), rule="any", asked_at=now()),
        "rule",
        {
            "miner WithdrawBalance": "",
            "miner WithdrawBalance above 5 FIL": "messages.rule_above",
            "multisig any method": "messages.rule_any_method",
            "any message above 5 FIL": "messages.rule_above",
        },
    ),
    "attempt": (
        "messages.migrations.0021_codes_of_older_timelines.reasons_code",
        lambda: event("attempt failed"),
        "text",
        {
            "needs 2 FIL, has 1 FIL": "messages.needs",
            "sign message failed: policy: not this one": "messages.sign_failed",
            "vm error (RetCode=16)": "core.old",
        },
    ),
    "line of a timeline": (
        "messages.migrations.0021_codes_of_older_timelines.reasons_code",
        lambda: event("replaced"),
        "text",
        {
            "premium 100 to 125, fee cap 200 to 250 attoFIL": "messages.replaced",
            "max fee 0.5 FIL, fee cap 7 attoFIL": "messages.fees_set",
            "nonce 7, bafy2, read back after a restore": "messages.matched",
            "nonce 7 reassigned to c0ffee": "messages.nonce_reassigned",
        },
    ),
    "who approved": (
        "messages.migrations.0021_codes_of_older_timelines.reasons_code",
        lambda: event("approved"),
        "text",
        {"ann": "", "cancelled": ""},
    ),
    "signature": (
        "wallets.migrations.0007_codes_of_older_errors.errors_code",
        lambda: factories.sign_record(factories.secp(1)),
        "error",
        {"policy: not this one": "core.old"},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_older_rows_get_codes(case: str) -> None:
    migration, make, column, texts = CASES[case]
    module, _, function = migration.rpartition(".")
    row = make()
    for text, code in texts.items():
        with connection.cursor() as cursor:
            cursor.execute(
                f"update {row._meta.db_table} set {column} = %s, {column}_coded = null "
                f"where {row._meta.pk.column} = %s",
                [text, row.pk],
            )

        getattr(import_module(f"apps.{module}"), function)(apps, None)

        read = getattr(type(row).objects.get(pk=row.pk), column)
        assert (read, code_of(read)) == (text, code)


@pytest.mark.parametrize(
    ("text", "chinese"),
    [
        ("a, b, c and 4 more offline", "a, b, c 及另外 4 个 离线"),
        (
            "at least 1\u202f000 sectors of a, b, c and 3 more faulty",
            "a, b, c 及另外 3 个 有 至少 1\u202f000 个扇区故障",
        ),
        ("1 address without a signer", "1 个地址没有签名机"),
        ("3 addresses without a signer", "3 个地址没有签名机"),
    ],
)
def test_lists_and_counts_within_older_findings_have_codes_too(text: str, chinese: str) -> None:
    row = alert()
    type(row).objects.filter(pk=row.pk).update(say=text)

    findings_code(apps, None)

    row.refresh_from_db()
    with override("zh-hans"):
        assert shown_text(row.say) == chinese
