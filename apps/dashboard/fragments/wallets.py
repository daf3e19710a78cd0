"""Wallets: addresses with their balances and signers, and the latest signatures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from apps.checks.results import Topic
from apps.dashboard.fragments.context import FragmentContext, FragmentsByKind, fragment
from apps.dashboard.fragments.counts import messages_by_sender
from apps.dashboard.fragments.todo import verdict_by
from apps.dashboard.rows.cards import Verdict, plural
from apps.dashboard.rows.wallets import RecordRow, WalletRow, record_row, wallet_row
from apps.wallets.selectors import sign_records

if TYPE_CHECKING:
    from collections.abc import Iterable

    from apps.dashboard.page_data import PageData
    from apps.wallets.models import Wallet

RECORDS: Final = 20
"""Signatures on the page."""


def wallet_rows(wallets: list[Wallet], data: PageData) -> list[WalletRow]:
    """Lay out wallets, lowest balance first."""
    waiting = messages_by_sender(data.viewer)
    ordered = sorted(wallets, key=lambda wallet: (wallet.balance or 0, wallet.pk))
    return [wallet_row(wallet, data=data, waiting=waiting.get(wallet.address, 0)) for wallet in ordered]


def record_rows(data: PageData) -> list[RecordRow]:
    """The latest signatures."""
    return [record_row(record, data=data) for record in sign_records(data.viewer)[:RECORDS]]


def list_verdict_of(data: PageData) -> Verdict:
    """Return in one sentence whether everything can be signed."""
    report = data.report_of(Topic.WALLETS)
    if not data.wallets:
        return verdict_by(report, Verdict("", "No signer has connected yet."))
    many = plural(len(data.wallets), "address", "addresses")
    if report.fails("signers_away"):
        return verdict_by(report, Verdict(f"{many}.", "Messages of those without a signer wait for it."))
    return verdict_by(report, Verdict(f"{many},", "all with a connected signer."))


def list_verdict(context: FragmentContext) -> Iterable[str]:
    yield fragment("dashboard/_verdict.html", verdict=list_verdict_of(context.data))


def records_fragment(context: FragmentContext) -> Iterable[str]:
    yield fragment("wallets/_records.html", records=record_rows(context.data))


def rows(context: FragmentContext, keys: list[str]) -> Iterable[str]:
    """Render the changed wallets by their pk or address."""
    data = context.data
    wanted = [wallet for wallet in data.wallets if {str(wallet.pk), wallet.address} & set(keys)]
    for row in wallet_rows(wanted, data):
        yield fragment("wallets/_row.html", wallet=row)


def all_rows(context: FragmentContext) -> Iterable[str]:
    """Render every wallet: a signer came or went."""
    data = context.data
    for row in wallet_rows(data.wallets, data):
        yield fragment("wallets/_row.html", wallet=row)


FRAGMENTS: Final[FragmentsByKind] = {
    "wallet": (list_verdict,),
    "head": (list_verdict,),
    "signer": (all_rows, list_verdict),
    "message": (records_fragment,),
    "messages": (all_rows, records_fragment),
}
