"""Whatever check fails: pages, alerts and notifications say so in Chinese without an English word."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import pytest
from django.db import transaction
from django.urls import reverse
from django.utils.translation import override

from apps.checks.findings.results import Check, Finding
from apps.checks.models import Alert, AlertEntry, Notification
from apps.checks.report.cache import key_of
from apps.checks.report.evaluate import evaluate_some
from apps.checks.report.report import Report, Result
from apps.checks.selectors.data import CheckData
from apps.checks.services.alerts import alerts_update
from apps.checks.services.notification_texts import details_write, end_write, subject_write
from apps.checks.table.causes import CAUSES
from apps.checks.table.checks import CHECKS
from apps.core.clock import now
from apps.core.reasons import REASONS, shown_text
from apps.users.models import User
from apps.users.rules.principals import SYSTEM
from tests.alerts import channel
from tests.integration.dashboard.check_scenes import SCENES
from tests.page_client import signed_in, text_of
from tests.page_words import Words, english_of, latin_words
from tests.shared_reports import REPORT_NOW, SharedReports

pytestmark = pytest.mark.django_db

TERMS: Final = frozenset(
    {
        *("Poolsite", "FIL", "aFIL", "attoFIL", "nanoFIL", "GiB", "MiB", "KiB", "UTC"),
        *("API", "CAR", "CID", "CSV", "HTTP", "JSON", "NTP", "REST", "Redis", "URL", "Webhook"),
        *("AddBalance", "CreateMiner", "FireHorse", "Send", "WindowPoSt", "WinningPoSt"),
        *("Gas", "nonce", "seed", "ticket", "tipset", "worker", "withdraw"),
    }
)
"""Units, proper names, and terms that Chinese operators use as they are; `withdraw` begins a typed act."""
TYPED: Final = frozenset(
    {
        *("TO", "backup", "folder", "make", "blocks", "tasks", "workers", "labels", "params", "plan"),
        *("chmod", "id", "day", "price", "piece", "switch", "Web", "message", "method", "to"),
    }
)
"""Commands with what they take, processes, fields of files, and words of signed texts."""
OBJECTS: Final = frozenset(
    {
        *("OL", "alice", "bob", "nora", "olga", "ops", "mainnet", "testnet", "one", "old"),
        *("archive", "box", "fresh", "full", "gone", "idle", "new", "prover", "sealer", "slow", "small"),
    }
)
"""Names of people, tenants, networks, nodes, hosts and stores of the scenes."""
NAMES: Final = TERMS | TYPED | OBJECTS
SAID: Final = (
    *("no space left", "no space", "the disk is full", "the replica cannot be read", "/mnt/b is not there"),
    "1.0 GiB free, a sector needs 33.0 GiB: attach another store",
)
"""Texts of the scenes' hosts, shown as they were said."""
HOLE: Final = re.compile(r"\{[^{}]*\}")
SHOWN_MAX: Final = 8
"""Alerts whose own page is looked at: the most different ones."""


class TakenBack(Exception):
    """Ends a scene."""


def result_of_scene(name: str) -> Result:
    """The findings of a check in its scene, which is rolled back."""
    with pytest.MonkeyPatch.context() as patch:
        try:
            with transaction.atomic():
                SCENES[name](patch)
                result = evaluate_some([name], CheckData(SYSTEM)).result(name)
                raise TakenBack
        except TakenBack:
            assert result is not None
            return result


@pytest.fixture
def failing(quiet: None) -> Report:
    """An evaluation in which every check fails, some by others."""
    results = {check.name: result_of_scene(check.name) for check in CHECKS}
    assert [name for name, result in results.items() if result.passed] == []
    causes: dict[str, str] = {}
    for cause, effects in reversed(CAUSES.items()):
        explained = results[effects[0]].findings[0].key
        causes.setdefault(explained, results[cause].findings[0].key)
    firsts = {key: cause for key, cause in causes.items() if cause not in causes}
    return Report(now(), tuple(results.values()), causes=firsts)


def unsaid(text: str) -> str:
    """A text without what the hosts said."""
    for words in SAID:
        text = text.replace(words, "")
    return text


def english_words(text: str) -> set[str]:
    return latin_words(unsaid(text), names=NAMES)


def texts_of(check: Check, finding: Finding) -> Iterator[str]:
    """All texts of a finding."""
    yield from (finding.say, finding.reason, finding.due_label, finding.button)
    yield from (act.text for act in finding.acts)
    yield from (str(check.title), str(check.button))


def test_each_finding_is_chinese(failing: Report) -> None:
    with override("zh-hans"):
        found = {
            result.check.name: words
            for result in failing.results
            for finding in result.findings
            for text in texts_of(result.check, finding)
            if (words := english_words(shown_text(text)))
        }

    assert found == {}


def test_each_reason_of_a_check_has_a_chinese_text() -> None:
    """Those too which no scene shows."""
    reasons = {code: kind for code, kind in REASONS.items() if code.startswith("checks.")}
    assert len(reasons) > 300
    with override("zh-hans"):
        texts = {
            code: [HOLE.sub(" ", kind.translated({kind.counted: count})) for count in (1, 2)]
            for code, kind in reasons.items()
        }

    assert {code: words for code, both in texts.items() if (words := english_words(" ".join(both)))} == {}


def test_pages_and_alerts_of_each_failing_check_are_chinese(
    failing: Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    User.objects.update(language="zh-hans")
    reports = SharedReports()
    reports.made[key_of(SYSTEM)] = failing
    monkeypatch.setattr(REPORT_NOW, reports)
    channel("ops", language="zh-hans")
    alerts_update(report=failing, pool="testnet", now=failing.at)
    client = signed_in("olga")
    pages = {name: reverse(name) for name in ("today", "checks", "alerts", "alerts-history")}
    by_length = sorted(Alert.objects.all(), key=lambda one: len(one.say), reverse=True)
    for alert in (*by_length[:SHOWN_MAX], Alert.objects.get(check_name="requests_failed")):
        pages[f"alert {alert.check_name}"] = reverse("alert", args=[alert.uuid])

    shown = {page: unsaid(text_of(client.get(address))) for page, address in pages.items()}

    assert {page: texts for page, html in shown.items() if (texts := english_of(html))} == {}
    found = {
        page: {word for text in Words(html).texts for word in english_words(text)}
        for page, html in shown.items()
    }
    assert {page: words for page, words in found.items() if words} == {}
    assert AlertEntry.objects.count() == len(CHECKS)


def test_the_notification_of_each_failing_check_is_chinese(failing: Report) -> None:
    channel("ops", language="zh-hans")
    alerts_update(report=failing, pool="testnet", now=failing.at)
    alerts_update(
        report=Report(failing.at, tuple(Result(one, ()) for one in CHECKS)), pool="testnet", now=now()
    )

    rows = list(Notification.objects.select_related("channel"))
    told = {row.body["check"] for row in rows}
    told |= {effect["check"] for row in rows for effect in row.body.get("explains", ())}
    assert told == {check.name for check in CHECKS}
    assert {row.event for row in rows} == {"STARTED", "ENDED"}
    assert any(row.body.get("explains") for row in rows)
    found = {}
    for row in rows:
        subject = subject_write(row)
        words = english_words("\n".join((subject, details_write(row, subject=subject), end_write(row))))
        if words:
            found[f"{row.event} {row.body['check']}"] = words
    assert found == {}
