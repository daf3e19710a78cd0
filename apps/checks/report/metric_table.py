"""The list of metrics in `/metrics`: names, labels, texts, and the Grafana board that draws each."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Board(StrEnum):
    """A Grafana board; its value is its title."""

    POOL = "Pool"
    MINERS = "Miners"
    MESSAGES = "Messages"
    HOSTS = "Hosts"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One metric."""

    name: str
    """Without the prefix `poolsite_`."""
    text: str
    board: Board
    labels: tuple[str, ...] = ()
    unit: str = "short"
    """Grafana's id of the unit."""
    kind: str = "gauge"
    query: str = ""
    """PromQL of the panel, with `{where}` for the selected series; empty: the figure by its labels."""
    is_rare: bool = False
    """Whether the board leaves out series that are 0."""
    is_of_machine: bool = False
    """Whether each console machine has its own value; others are the pool's, the same from every machine."""

    @property
    def full_name(self) -> str:
        """Return its name in Prometheus."""
        return f"poolsite_{self.name}"


def _of(board: Board, *figures: tuple[str, str, str, tuple[str, ...]]) -> tuple[Figure, ...]:
    return tuple(
        Figure(name=name, text=text, unit=unit, labels=labels, board=board)
        for name, unit, text, labels in figures
    )


MINER: Final = ("miner",)
SENDER: Final = ("sender",)
HOST: Final = ("tenant", "host")

FIGURES: Final[tuple[Figure, ...]] = (
    Figure(
        name="check_findings",
        text="Objects that fail a check; of very many only the first are counted.",
        labels=("check", "severity"),
        board=Board.POOL,
        is_rare=True,
    ),
    Figure(
        name="check_fil_per_day",
        text="FIL that findings cost each day.",
        labels=("check",),
        board=Board.POOL,
        is_rare=True,
    ),
    Figure(
        name="check_acknowledged",
        text="1 while somebody has acknowledged the pool's alert of this check.",
        labels=("check",),
        board=Board.POOL,
        is_rare=True,
    ),
    *_of(
        Board.POOL,
        ("checks_age_seconds", "s", "Seconds since the checks were evaluated.", ()),
        ("head_height", "short", "Height of the newest head.", ()),
        ("head_age_seconds", "s", "Seconds since the newest head arrived.", ()),
        ("nodes", "short", "Enabled nodes by health.", ("state",)),
        ("processes", "short", "Processes of the console.", ("state",)),
        ("hub_connections", "short", "Open connections to the hub.", ("kind",)),
    ),
    Figure(
        name="disk_free_bytes",
        unit="bytes",
        text="Free space of each disk of the console.",
        labels=("folder",),
        board=Board.POOL,
        is_of_machine=True,
    ),
    Figure(
        name="http_requests_total",
        unit="reqps",
        text="HTTP requests answered.",
        labels=("method", "route", "status"),
        board=Board.POOL,
        kind="counter",
        query="sum by (job, status) (rate(poolsite_http_requests_total{where}[5m]))",
        is_of_machine=True,
    ),
    Figure(
        name="http_request_seconds",
        unit="s",
        text="Time from request to response.",
        labels=("route",),
        board=Board.POOL,
        kind="histogram",
        query=(
            "histogram_quantile(0.99,"
            " sum by (job, le, route) (rate(poolsite_http_request_seconds_bucket{where}[5m])))"
        ),
        is_of_machine=True,
    ),
    Figure(
        name="piece_retrievals_total",
        unit="reqps",
        text="Retrievals of pieces without a token that began.",
        labels=MINER,
        board=Board.POOL,
        kind="counter",
        query="sum by (job, miner) (rate(poolsite_piece_retrievals_total{where}[5m]))",
        is_of_machine=True,
    ),
    Figure(
        name="piece_retrieved_bytes_total",
        unit="Bps",
        text="Bytes sent by retrievals of pieces without a token.",
        labels=MINER,
        board=Board.POOL,
        kind="counter",
        query="sum by (job, miner) (rate(poolsite_piece_retrieved_bytes_total{where}[5m]))",
        is_of_machine=True,
    ),
    *_of(
        Board.MINERS,
        ("deadlines", "short", "Deadlines with sectors, by forecast.", ("forecast",)),
        ("deadline_next_close_seconds", "s", "Seconds until the next deadline closes.", ()),
        (
            "deadline_margin_seconds",
            "s",
            "Shortest time between landing and close of a window in the last proving period.",
            (),
        ),
        ("sectors_active", "short", "Active sectors.", ()),
        ("sectors_faulty", "short", "Faulty sectors.", ()),
        ("wins", "short", "Wins of the last 24 hours, by outcome.", ("outcome",)),
        ("wins_expected", "short", "Wins expected in the last 24 hours.", ()),
        ("rounds_undrawn", "short", "Elections of the last 10 minutes that could not be run.", ()),
        (
            "block_margin_seconds",
            "s",
            "Shortest time left when a block was signed in the last 24 hours.",
            (),
        ),
        ("miner_power_bytes", "bytes", "Power of a miner, raw and quality-adjusted.", ("miner", "kind")),
        ("miner_balance_fil", "short", "FIL of a miner's actor.", MINER),
        ("miner_available_fil", "short", "FIL that a miner can use; below 0 it is in debt.", MINER),
        ("miner_locked_fil", "short", "FIL of a miner's rewards that are still vesting.", MINER),
        ("miner_pledge_fil", "short", "FIL that a miner has pledged for its sectors.", MINER),
        ("miner_fee_debt_fil", "short", "FIL of fees that a miner has not paid.", MINER),
        ("miner_sectors", "short", "Sectors of a miner, active and faulty.", ("miner", "state")),
        (
            "miner_window_proofs",
            "short",
            "Proofs of windows of the last proving period, landed and missed.",
            ("miner", "outcome"),
        ),
        (
            "miner_window_margin_seconds",
            "s",
            "Shortest time between landing and close of a miner's window in the last proving period.",
            MINER,
        ),
        (
            "miner_wins",
            "short",
            "Wins of a miner in the last 24 hours: included in the chain, and lost.",
            ("miner", "outcome"),
        ),
        ("miner_wins_expected", "short", "Wins that a miner could expect in the last 24 hours.", MINER),
    ),
    *_of(
        Board.MESSAGES,
        ("base_fee_attofil", "short", "Base fee of the newest head.", ()),
        ("messages", "short", "Messages that have not landed, by state.", ("state",)),
        (
            "messages_oldest_seconds",
            "s",
            "Age of the oldest message that has not landed, by state.",
            ("state",),
        ),
        ("messages_stuck", "short", "Messages that need attention.", ()),
        ("nonce_gaps", "short", "Senders with a nonce gap.", ()),
        (
            "sender_messages",
            "short",
            "Messages of a sender that have not landed, by state.",
            ("sender", "state"),
        ),
        (
            "sender_oldest_seconds",
            "s",
            "Age of a sender's oldest message that has not landed, by state; 0: there is none.",
            ("sender", "state"),
        ),
        ("sender_gas_fil_today", "short", "FIL that a sender's gas cost on this UTC day.", SENDER),
        ("wallet_balance_fil", "short", "FIL of a wallet.", ("wallet",)),
    ),
    *_of(
        Board.HOSTS,
        ("hosts", "short", "Hosts by their heartbeats.", ("state",)),
        ("sectors_sealing", "short", "Sectors in progress, by stage.", ("stage",)),
        ("host_seen_seconds", "s", "Seconds since a host was last heard of.", HOST),
        ("host_tasks", "short", "Jobs that a host has.", HOST),
        ("host_failures", "short", "Failures that a host reported in the last 24 hours.", HOST),
        (
            "host_disk_free_bytes",
            "bytes",
            "Free bytes of the disk of a host that has the least share free.",
            HOST,
        ),
        ("host_disk_free_ratio", "percentunit", "Free share of that disk.", HOST),
    ),
)

BY_NAME: Final = {figure.name: figure for figure in FIGURES}
