"""Gateway: the signers and provers that are connected, and whom they may serve."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from apps.checks.results import Topic
from apps.dashboard.lines.cards import Verdict, plural
from apps.dashboard.lines.gateway import ApprovalLine, ConnectionLine, approval_line, connection_line
from apps.dashboard.regions.place import Place, Regions, RowFragments, fragment
from apps.dashboard.regions.todo import verdict_by
from apps.gateway.models import SignerConnection
from apps.gateway.selectors import connections_open
from apps.sectors.selectors import is_uuid
from apps.users.selectors import approvals_visible

if TYPE_CHECKING:
    from collections.abc import Iterable

    from apps.dashboard.regions.scene import Scene
    from apps.gateway.models import ProverConnection

SHOWN: Final = 200
"""Connections on the page; the rest are counted."""


def connection_lines(rows: list[SignerConnection | ProverConnection], scene: Scene) -> list[ConnectionLine]:
    """Lay out connections, wallets first."""
    return [connection_line(row, scene=scene) for row in rows[:SHOWN]]


def list_verdict_of(rows: list[SignerConnection | ProverConnection], scene: Scene) -> Verdict:
    """Say in one sentence who is connected."""
    report = scene.report_of(Topic.GATEWAY)
    signers = sum(isinstance(row, SignerConnection) for row in rows)
    provers = len(rows) - signers
    if not rows:
        return verdict_by(report, Verdict("", "Nobody is connected."))
    failures = sum(row.failures for row in rows)
    rest = f"{plural(failures, 'request')} failed since they came." if failures else "No request has failed."
    say = f"{plural(signers, 'signer')} and {plural(provers, 'prover')} connected."
    return verdict_by(report, Verdict(say, rest))


def approval_lines(scene: Scene) -> list[ApprovalLine]:
    """Wishes to serve an account, the open ones first."""
    rows = sorted(approvals_visible(scene.viewer), key=lambda row: (row.approved_at is not None, row.pk))
    return [approval_line(row, may_act=scene.viewer.may("admin")) for row in rows]


def table(place: Place) -> Iterable[str]:
    """Render the list anew: somebody came or went."""
    rows = connections_open(place.viewer)
    yield fragment(
        "gateway/_table.html",
        connections=connection_lines(rows, place.scene),
        hidden=max(len(rows) - SHOWN, 0),
    )
    yield fragment("dashboard/_verdict.html", verdict=list_verdict_of(rows, place.scene))


def verdict(place: Place) -> Iterable[str]:
    """Render the verdict anew."""
    rows = connections_open(place.viewer)
    yield fragment("dashboard/_verdict.html", verdict=list_verdict_of(rows, place.scene))


def approvals(place: Place) -> Iterable[str]:
    """A signer that connects may ask for an account."""
    yield fragment("gateway/_approvals.html", approvals=approval_lines(place.scene))


def rows(place: Place, keys: list[str]) -> Iterable[str]:
    """Render the connections that did something; one that ended meanwhile goes with the next table."""
    for row in connections_open(place.viewer, keys=[key for key in keys if is_uuid(key)]):
        yield fragment("gateway/_row.html", connection=connection_line(row, scene=place.scene))


REGIONS: Final[Regions] = {"signer": (table, approvals)}
ROWS: Final[dict[str, RowFragments]] = {"connection": rows}
