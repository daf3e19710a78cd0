"""Grafana's boards and the list in docs/metrics.md, made from the metrics' table."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from apps.checks.report.metric_table import BY_NAME, FIGURES, Board, Figure

SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
ANY_JOB: Final = 'job=~"$job"'
DRAWN: Final = "max by ({labels}) ({series})"
"""Several consoles of a pool are one job, and each of them has the pool's figures: they count once."""
TITLE: Final = "Poolsite: {}"
COLUMNS: Final = 2
WIDTH: Final = 24 // COLUMNS
HEIGHT: Final = 8
CHOSEN: Final[dict[Board, dict[str, str]]] = {
    Board.POOL: {},
    Board.MINERS: {"miner": "miner_power_bytes"},
    Board.MESSAGES: {"sender": "sender_messages", "wallet": "wallet_balance_fil"},
    Board.HOSTS: {"tenant": "host_seen_seconds", "host": "host_seen_seconds"},
}
"""Variables of each board: label, and the figure that lists its values."""


def file_name(board: Board) -> str:
    """Return the name of a board's file."""
    return f"poolsite-{board.lower()}.json"


def expression_of(figure: Figure) -> str:
    """Return the PromQL of a figure's panel; the pool's figures are drawn once, not for each console."""
    chosen = [label for label in CHOSEN[figure.board] if label in figure.labels]
    where = "{" + ", ".join([ANY_JOB, *(f'{label}=~"${label}"' for label in chosen)]) + "}"
    if figure.query:
        return figure.query.replace("{where}", where)
    labels = ("job", *(("instance",) if figure.is_of_machine else ()), *figure.labels)
    drawn = DRAWN.format(labels=", ".join(labels), series=figure.full_name + where)
    return f"{drawn} > 0" if figure.is_rare else drawn


def board_json(board: Board) -> str:
    """Return a board as JSON that Grafana imports."""
    figures = [figure for figure in FIGURES if figure.board == board]
    made = {
        "uid": f"poolsite-{board.lower()}",
        "title": TITLE.format(board),
        "tags": ["poolsite"],
        "schemaVersion": 39,
        "refresh": "30s",
        "time": {"from": "now-24h", "to": "now"},
        "templating": {"list": list(_variables(board))},
        "panels": [_panel(number, figure) for number, figure in enumerate(figures)],
    }
    return json.dumps(made, indent=2) + "\n"


def _variables(board: Board) -> Iterator[dict[str, Any]]:
    yield {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus"}
    yield _variable("job", "poolsite_processes")
    for label, name in CHOSEN[board].items():
        yield _variable(label, f"{BY_NAME[name].full_name}{{{ANY_JOB}}}")


def _variable(label: str, series: str) -> dict[str, Any]:
    return {
        "name": label,
        "type": "query",
        "datasource": SOURCE,
        "query": f"label_values({series}, {label})",
        "includeAll": True,
        "multi": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
        "refresh": 2,
        "sort": 1,
    }


def _panel(number: int, figure: Figure) -> dict[str, Any]:
    row, column = divmod(number, COLUMNS)
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": figure.text.rstrip("."),
        "description": figure.full_name,
        "datasource": SOURCE,
        "gridPos": {"x": column * WIDTH, "y": row * HEIGHT, "w": WIDTH, "h": HEIGHT},
        "fieldConfig": {"defaults": {"unit": figure.unit}, "overrides": []},
        "options": {"legend": {"displayMode": "table", "placement": "right", "calcs": ["lastNotNull"]}},
        "targets": [{"refId": "A", "datasource": SOURCE, "expr": expression_of(figure)}],
    }


def metrics_markdown() -> str:
    """Return docs/metrics.md."""
    lines = [
        "# Metrics",
        "",
        "All that `/metrics` has. Made by `make docs` from `apps/checks/report/metric_table.py`; [how to use",
        "it](monitoring.md). Where `instance` is among the labels, each console machine has its own; all",
        "others are the pool's.",
        "",
        "| metric | kind | labels | what it is | board |",
        "|---|---|---|---|---|",
    ]
    for figure in FIGURES:
        labels = (*(("instance",) if figure.is_of_machine else ()), *figure.labels)
        named = ", ".join(f"`{label}`" for label in labels)
        lines.append(f"| `{figure.full_name}` | {figure.kind} | {named} | {figure.text} | {figure.board} |")
    return "\n".join(lines) + "\n"
