"""One evaluation for all pages: what the checks found is shared until something changes."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from django.utils.translation import get_language
from redis.exceptions import RedisError

from apps.checks.findings.results import Act, Finding, Link
from apps.checks.report.evaluate import check_as_set, evaluate
from apps.checks.report.report import Report, Result
from apps.checks.table.checks import CHECKS_BY_NAME
from apps.core.live import CHECKS, OPERATOR, Change, changes_number, publish
from apps.core.redis_clients import redis_client, text_shared

if TYPE_CHECKING:
    from apps.checks.selectors.data import CheckData
    from apps.users.rules.principals import Principal

SHARED_S: Final = 5
"""Longest that an evaluation is shared: heartbeats and heads that do not come are no change."""


def report_now(data: CheckData) -> Report:
    """Return what the checks find: of an evaluation that nothing has changed since, else of a new one.

    All pages of the same viewers share it, so that their verdicts agree.  Without Redis each evaluates.
    """
    number = changes_number()
    if number is None:
        return evaluate(data)
    key = f"poolsite:checks:{audience_of(data.viewer)}:{number}"
    with suppress(RedisError, OSError):
        if (text := text_shared(key, kept_s=SHARED_S)) is not None:
            return report_read(text)
    report = evaluate(data)
    with suppress(RedisError, OSError):
        redis_client().set(key, report_write(report), ex=SHARED_S)
        publish_difference(report, data.viewer)
    return report


def publish_difference(report: Report, viewer: Principal) -> None:
    """Publish that the bells of these viewers count again, if the findings are others than before."""
    found = sha256(
        repr([(one.check.name, str(one.check.severity), one.finding.say) for one in report.found]).encode()
    ).hexdigest()
    before = redis_client().getset(f"poolsite:checks:{audience_of(viewer)}", found)
    if before != found:
        tenant = OPERATOR if viewer.is_operator else viewer.own_id
        publish(Change(CHECKS, tenant, tenant))


def audience_of(viewer: Principal) -> str:
    """Return a name for everybody who may see the same, in the same language."""
    seen = replace(viewer, actor="", token_id="", source="")
    return sha256(f"{get_language()} {seen!r}".encode()).hexdigest()[:32]


def report_write(report: Report) -> str:
    """Return a report as text."""
    found = {
        result.check.name: [str(result.check.severity), [asdict(one) for one in result.findings]]
        for result in report.results
    }
    return json.dumps([report.at.isoformat(), found, report.per_day_max, report.deposits_max])


def report_read(text: str) -> Report:
    """Return the report that `report_write` wrote."""
    at, found, per_day_max, deposits_max = json.loads(text)
    results = (
        Result(check_as_set(CHECKS_BY_NAME[name], {name: severity}), tuple(_finding(row) for row in rows))
        for name, (severity, rows) in found.items()
    )
    return Report(datetime.fromisoformat(at), tuple(results), per_day_max, deposits_max)


def _finding(row: dict[str, Any]) -> Finding:
    link = row["link"]
    acts = tuple(Act(**{**act, "link": _link(act["link"])}) for act in row["acts"])
    return Finding(**{**row, "link": None if link is None else _link(link), "acts": acts})


def _link(row: dict[str, Any]) -> Link:
    return Link(row["page"], tuple(row["args"]), row["query"])
