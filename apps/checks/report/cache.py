"""The last result of the checks for each audience: written by the pool's task, read by all pages.

No page evaluates them.  One that shows a result from before the last change asks the task for a newer one,
which is pushed to it; until then it has the old one with its time.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from typing import Any, Final

from celery import current_app
from django.conf import settings
from kombu.exceptions import OperationalError as BrokerAway
from redis.exceptions import RedisError

from apps.chain.node.isolation import for_each_isolated
from apps.checks.findings.console import CHECKS_LATE
from apps.checks.findings.results import Act, Finding, Link
from apps.checks.report.evaluate import check_as_set, evaluate, evaluate_some
from apps.checks.report.report import Report, Result
from apps.checks.selectors.data import CheckData
from apps.checks.table.checks import CHECKS_BY_NAME
from apps.core.clock import DAY_S
from apps.core.live import CHANGES_KEY, CHECKS, OPERATOR, Change, changes_number, publish
from apps.core.reasons import Reason, coded, coded_read
from apps.core.redis_clients import redis_client, turn_claim
from apps.users.rules.principals import SYSTEM, Principal
from apps.users.states import Perm

SHARED_S: Final = 5
"""Longest that an evaluation is used again: heartbeats and heads that do not come are no change."""
KEPT_S: Final = DAY_S
"""Longest that a result is kept: it is shown with its time, and as late."""
ASKED_S: Final = 600
"""So long after its last page an audience's checks are evaluated."""
TURN_S: Final = 5.0
"""Seconds that one run of the task takes at most for those who asked; the next goes on."""
PACE_S: Final = 1.0
"""Least time between two evaluations for one audience; of slow ones as many times as long as they take."""
PACE: Final = 10
LAST_KEY: Final = "poolsite:checks:last:"
ASKED_KEY: Final = "poolsite:checks:asked"
"""In Redis: audiences by when a page of theirs was shown last."""
REQUESTED_KEY: Final = "poolsite:checks:requested"
"""In Redis: those of them that wait for a newer result."""
STORED_KEPT: Final = 16
"""Results that a process keeps as it has read them: of so many audiences, the newest."""
TURN_KEY: Final = "poolsite:checks:turn"
"""In Redis: of which audience the checks were evaluated last."""
TASK: Final = "checks.evaluate"


def report_last(data: CheckData) -> Report:
    """Return what the checks found when they were evaluated last for who sees the same; evaluate none.

    A result that is late says so by the check `checks_late`, and so does one that is not there.
    """
    report = report_stored(data)
    if report is not None and not is_late(report, data):
        return report
    own = CheckData(data.viewer)
    own.__dict__.update(at=data.at, evaluated_at=None if report is None else report.at)
    late = evaluate_some(["checks_late"], own)
    if report is None:
        return replace(late, is_evaluated=False)
    others = tuple(one for one in report.results if one.check.name != "checks_late")
    return replace(report, results=(*others, *late.results))


def is_late(report: Report, data: CheckData) -> bool:
    """Return whether a report is older than the checks are evaluated."""
    return data.at - report.at > CHECKS_LATE


def report_stored(data: CheckData) -> Report | None:
    """Return the last result for a viewer, and ask for a newer one if something has changed.

    None: there is none, or Redis is away.
    """
    viewer = audience(data.viewer)
    key, entry = key_of(viewer), asked_write(viewer)
    try:
        with redis_client().pipeline(transaction=False) as pipe:
            pipe.zadd(ASKED_KEY, {entry: time.time()})
            pipe.mget([CHANGES_KEY, key])
            _, (number, text) = pipe.execute()
    except (RedisError, OSError):
        return None
    found = stored_read(text) if text else None
    if found is None or found.number != str(number or 0):
        evaluation_request(entry, key, took_s=0.0 if found is None else found.took_s)
    return None if found is None else found.report


def evaluation_request(audience_text: str, key: str, *, took_s: float) -> None:
    """Note that an audience waits for a newer result; send the task, now or once its pace allows it.

    A run takes all that was noted before it, so none is missed.  Without a broker the next page tries again.
    """
    pace_s = max(PACE_S, PACE * took_s)
    with suppress(RedisError, BrokerAway, OSError):
        redis_client().sadd(REQUESTED_KEY, audience_text)
        if turn_claim(f"{key}:request", kept_s=pace_s):
            wait_s = 0.0
        elif turn_claim(f"{key}:later", kept_s=pace_s):
            wait_s = pace_s
        else:
            return
        current_app.send_task(TASK, queue="io", retry=False, countdown=wait_s, expires=wait_s + SHARED_S)


def report_evaluate(data: CheckData) -> Report:
    """Evaluate the checks for a viewer and store the result for all who see the same.

    One that was stored a moment ago and that nothing has changed since is used again.
    """
    number = changes_number()
    if number is None:
        return evaluate(data)
    key = key_of(audience(data.viewer))
    last = None
    with suppress(RedisError, OSError):
        text = redis_client().get(key)
        found = stored_read(text) if text else None
        last = None if found is None else found.report
        shared = timedelta(seconds=SHARED_S)
        is_same = found is not None and found.number == number
        if last is not None and is_same and timedelta() <= data.at - last.at <= shared:
            return last
    began = time.monotonic()
    report = evaluate(data)
    stored = {"number": number, "took_s": time.monotonic() - began}
    stored |= {"report": report_write(report), "codes": codes_write(report)}
    with suppress(RedisError, OSError):
        redis_client().set(key, json.dumps(stored), ex=KEPT_S)
        publish_difference(report, data.viewer, was_late=last is None or is_late(last, data))
    return report


def requested_evaluate() -> None:
    """Evaluate the checks for those whose pages showed a result of before the last change."""
    with suppress(RedisError, OSError):
        while (entry := redis_client().spop(REQUESTED_KEY)) is not None:
            asked_evaluate(str(entry))


def all_asked_evaluate() -> None:
    """Evaluate the checks for the audiences of which pages were shown lately, in turn."""
    end = time.monotonic() + TURN_S
    with suppress(RedisError, OSError):
        redis_client().zremrangebyscore(ASKED_KEY, "-inf", time.time() - ASKED_S)
        last = str(redis_client().get(TURN_KEY) or "")
        everyone = sorted(map(str, redis_client().zrange(ASKED_KEY, 0, -1)))
        for entry in sorted(everyone, key=lambda one: one <= last):
            asked_evaluate(entry)
            redis_client().set(TURN_KEY, entry)
            if time.monotonic() >= end:
                return


def asked_evaluate(entry: str) -> None:
    """Evaluate the checks for an audience that `asked_write` wrote; one that fails stops no other."""

    def evaluate_for(entry: str) -> None:
        report_evaluate(CheckData(asked_read(entry)))

    for_each_isolated([entry], evaluate_for, event="checks_not_evaluated")


def publish_difference(report: Report, viewer: Principal, *, was_late: bool) -> None:
    """Publish that the bells of these viewers count again, if the findings are others than before.

    Also where the result before was late or missing, which the pages say until then.
    """
    found = sha256(
        repr(
            [
                (one.check.name, str(one.check.severity), one.finding.say, report.causes.get(one.finding.key))
                for one in report.found
            ]
        ).encode()
    ).hexdigest()
    key = key_of(audience(viewer))
    before = redis_client().getset(f"{key}:found", found)
    if was_late or before != found:
        tenant = OPERATOR if viewer.is_operator else viewer.own_id
        publish(Change(CHECKS, tenant, tenant))


def audience(viewer: Principal) -> Principal:
    """Return who stands for everybody who sees the same: neither person nor level decides about findings."""
    if viewer.sees_pool:
        return SYSTEM
    return replace(
        viewer, perm=Perm.READ, scopes=(), methods=(), actor="system", people=(), token_id="", source=""
    )


def key_of(viewer: Principal) -> str:
    """Return where an audience's result is stored."""
    return LAST_KEY + sha256(asked_write(viewer).encode()).hexdigest()[:32]


def asked_write(viewer: Principal) -> str:
    """Return an audience as text; with a language, as versions did that evaluated for each."""
    return json.dumps([asdict(viewer), settings.LANGUAGE_CODE], sort_keys=True)


def asked_read(text: str) -> Principal:
    """Return the audience that `asked_write` wrote."""
    fields, _ = json.loads(text)
    lists = {name: tuple(value) for name, value in fields.items() if isinstance(value, list)}
    return Principal(**fields | lists)


def report_write(report: Report) -> str:
    """Return a report as text, without what its causes were found by: that grows with the hosts."""
    found = {
        result.check.name: [
            str(result.check.severity),
            [asdict(replace(one, breaks=(), needs=(), seen_s=None)) for one in result.findings],
        ]
        for result in report.results
    }
    sums = (report.per_day_max, report.deposits_max)
    return json.dumps([report.at.isoformat(), found, *sums, dict(report.causes)])


def codes_write(report: Report) -> dict[str, Any]:
    """Return the codes of a report's reasons by their texts, beside it: versions before them read it, too."""
    texts = (text for result in report.results for one in result.findings for text in _reasons(one))
    return {text: coded(text) for text in texts if isinstance(text, Reason)}


def _reasons(finding: Finding) -> Iterator[str]:
    yield from (finding.say, finding.reason, finding.due_label, *(act.of for act in finding.acts))


@dataclass(frozen=True, slots=True)
class Stored:
    """A result as it is stored."""

    number: str
    """Number of the changes that it knows."""
    took_s: float
    report: Report | None
    """None: a version wrote it that stores other fields."""


@lru_cache(STORED_KEPT)
def stored_read(text: str) -> Stored:
    """Return a stored result; the pages until the next one have the same text."""
    stored = json.loads(text)
    try:
        report = report_read(stored["report"], stored.get("codes", {}))
    except (LookupError, TypeError, ValueError):
        report = None
    return Stored(stored["number"], stored["took_s"], report)


def report_read(text: str, codes: Mapping[str, Any]) -> Report:
    """Return the report that `report_write` wrote, without checks that only another version has."""
    at, found, per_day_max, deposits_max, causes = json.loads(text)
    results = (
        Result(
            check_as_set(CHECKS_BY_NAME[name], {name: severity}), tuple(_finding(row, codes) for row in rows)
        )
        for name, (severity, rows) in found.items()
        if name in CHECKS_BY_NAME
    )
    return Report(datetime.fromisoformat(at), tuple(results), per_day_max, deposits_max, causes=causes)


def _finding(row: dict[str, Any], codes: Mapping[str, Any]) -> Finding:
    def reason(text: str) -> str:
        return coded_read(text, codes.get(text))

    link = row["link"]
    acts = (Act(**{**act, "link": _link(act["link"]), "of": reason(act["of"])}) for act in row["acts"])
    texts = {name: reason(row[name]) for name in ("say", "reason", "due_label")}
    lists = {"acts": tuple(acts), "breaks": (), "needs": ()}
    return Finding(**{**row, "link": None if link is None else _link(link), **texts, **lists})


def _link(row: dict[str, Any]) -> Link:
    return Link(row["page"], tuple(row["args"]), row["query"])
