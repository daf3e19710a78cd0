"""Gateway: the signers and provers that are connected, and whom they may serve."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from apps.checks.results import Topic
from apps.dashboard.fragments.context import FragmentContext, FragmentsByKind, RowRenderer, fragment
from apps.dashboard.fragments.todo import verdict_by
from apps.dashboard.rows.cards import Verdict, plural
from apps.dashboard.rows.gateway import ApprovalRow, ConnectionRow, approval_row, connection_row
from apps.gateway.models import SignerConnection
from apps.gateway.selectors import connections_open
from apps.sectors.selectors import is_uuid
from apps.users.selectors import approvals_visible

if TYPE_CHECKING:
    from collections.abc import Iterable

    from apps.dashboard.page_data import PageData
    from apps.gateway.models import ProverConnection

SHOWN: Final = 200
"""Connections on the page; the rest are counted."""


def connection_rows(rows: list[SignerConnection | ProverConnection], data: PageData) -> list[ConnectionRow]:
    """Lay out connections, wallets first."""
    return [connection_row(row, data=data) for row in rows[:SHOWN]]


def list_verdict_of(rows: list[SignerConnection | ProverConnection], data: PageData) -> Verdict:
    """Return in one sentence who is connected."""
    report = data.report_of(Topic.GATEWAY)
    signers = sum(isinstance(row, SignerConnection) for row in rows)
    provers = len(rows) - signers
    if not rows:
        return verdict_by(report, Verdict("", "Nobody is connected."))
    failures = sum(row.failures for row in rows)
    rest = f"{plural(failures, 'request')} failed since they came." if failures else "No request has failed."
    say = f"{plural(signers, 'signer')} and {plural(provers, 'prover')} connected."
    return verdict_by(report, Verdict(say, rest))


def approval_rows(data: PageData) -> list[ApprovalRow]:
    """Wishes to serve an account, the open ones first."""
    rows = sorted(approvals_visible(data.viewer), key=lambda row: (row.approved_at is not None, row.pk))
    return [approval_row(row, may_act=data.viewer.may("admin")) for row in rows]


def table(context: FragmentContext) -> Iterable[str]:
    """Render the list anew: somebody came or went."""
    rows = connections_open(context.viewer)
    yield fragment(
        "gateway/_table.html",
        connections=connection_rows(rows, context.data),
        hidden=max(len(rows) - SHOWN, 0),
    )
    yield fragment("dashboard/_verdict.html", verdict=list_verdict_of(rows, context.data))


def verdict(context: FragmentContext) -> Iterable[str]:
    """Render the verdict anew."""
    rows = connections_open(context.viewer)
    yield fragment("dashboard/_verdict.html", verdict=list_verdict_of(rows, context.data))


def approvals(context: FragmentContext) -> Iterable[str]:
    """A signer that connects may ask for an account."""
    yield fragment("gateway/_approvals.html", approvals=approval_rows(context.data))


def rows(context: FragmentContext, keys: list[str]) -> Iterable[str]:
    """Render the connections that did something; one that ended meanwhile goes with the next table."""
    for row in connections_open(context.viewer, keys=[key for key in keys if is_uuid(key)]):
        yield fragment("gateway/_row.html", connection=connection_row(row, data=context.data))


FRAGMENTS: Final[FragmentsByKind] = {"signer": (table, approvals)}
ROWS: Final[dict[str, RowRenderer]] = {"connection": rows}
