"""Every domain app has the same modules, and beside them only the packages that are listed here."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

APPS = Path(__file__).parents[3] / "apps"
COMMON = {
    *("apps", "due", "errors", "management", "migrations", "models", "onchain"),
    *("reasons", "rules", "selectors", "services", "states", "tasks"),
}
"""What a domain app may hold: one place for each question, as “where is a message replaced?”"""
ROOMS = {
    "automation": set[str](),
    "blocks": {"rounds"},
    "chain": {"heads", "node"},
    "checks": {"findings", "report", "table"},
    "damocles": set[str](),
    "gateway": {"hub", "providers"},
    "history": set[str](),
    "market": set[str](),
    "messages": set[str](),
    "miners": set[str](),
    "moves": set[str](),
    "pieces": {"data"},
    "proving": set[str](),
    "sectors": set[str](),
    "users": set[str](),
    "wallets": {"providers"},
}
"""What a domain app holds besides: packages of what runs beside services, named in docs/architecture.md."""
CONNECTIONS = ("node.client", "redis_clients", "hub.client", "hub.blocking_client")
"""Ends of the names of modules by which one asks a node, Redis or a signer."""
OWN = {
    "core": {
        *(
            "ability",
            "addresses",
            "alike",
            "catalogue",
            "catalogue_files",
            "clock",
            "coded_rows",
            "compiled",
            "connection_faults",
            "consoles",
            "database_threads",
        ),
        *(
            "database_hosts",
            "database_times",
            "database_watch",
            "day_ranges",
            "disk",
            "event_loops",
            "fields",
            "filters",
            "formatting",
            "grouped_calls",
            "handler",
        ),
        *("health", "languages", "leader", "live", "local_time"),
        *(
            "liveness",
            "lock_order",
            "locks",
            "marked_texts",
            "metrics",
            "middleware",
            "migration_steps",
            "month_parts",
            "older_consoles",
        ),
        *(
            "postgresql",
            "prepared_statements",
            "process_leases",
            "processes",
            "reason_fields",
            "reasons",
            "redis_clients",
            "renamed_migration",
            "sanitize",
            "sessions",
            "static",
        ),
        "streams",
        *("task_threads", "transitions", "units", "uuids", "versions"),
    },
    "api": {
        *(
            "access_table",
            "address_bodies",
            "address_tokens",
            "auth",
            "auto_schema",
            "callers",
            "idempotency",
            "mk12",
            "mk20",
        ),
        *(
            "ipfs_gateway",
            "ipfs_request",
            "ipni_provider",
            "job_tells",
            "job_wait",
            "market_storage",
            "metrics",
            "pagerduty",
            "piece_gateway",
            "piece_store",
            "readiness",
        ),
        *("outside_messages", "routing"),
        *("rpc", "schema", "schema_hooks", "sector_counter", "urls", "v1"),
    },
    "dashboard": {
        *(
            "audit_sentences",
            "bell",
            "bulk_bar",
            "cards",
            "cells",
            "charts",
            "company_provider",
            "confirm_page",
            "csv_export",
            "day_spans",
            "first_steps",
            "forms",
        ),
        *("fragments", "html_time", "join_page", "labels", "languages", "layout", "list_page"),
        *("live", "live_fragments", "live_gaps"),
        *(
            "notices",
            "number_fields",
            "object_fields",
            "page_data",
            "pages",
            "pagination",
            "passkeys",
            "pickers",
        ),
        "program_commands",
        *(
            "reauthentication",
            "refusals",
            "registry",
            "rest_twins",
            "routing",
            "scope",
            "sessions",
            "shown_once",
            "templatetags",
            "text_fields",
        ),
        *("todo", "trend_charts", "urls", "ws_origin"),
    },
}
"""`core` and the two interfaces have a module for each thing that they offer."""


def held(app: Path) -> set[str]:
    """Names of an app's modules and packages."""
    files = {file.stem for file in app.glob("*.py")} - {"__init__"}
    return files | {folder.name for folder in app.iterdir() if (folder / "__init__.py").is_file()}


def queries(file: Path) -> list[str]:
    """Return where a module queries rows or opens a connection."""
    tree = ast.parse(file.read_text())
    for_types = {id(part) for node in ast.walk(tree) if is_type_block(node) for part in ast.walk(node)}
    found = []
    for node in ast.walk(tree):
        is_manager = isinstance(node, ast.Attribute) and node.attr == "objects"
        is_source = isinstance(node, ast.ImportFrom) and (node.module or "").endswith(CONNECTIONS)
        if is_manager or (is_source and id(node) not in for_types):
            found.append(f"{file}: {ast.unparse(node)}")
    return found


def is_type_block(node: ast.AST) -> bool:
    """Return whether a statement's imports are for annotations only."""
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def test_every_app_is_listed() -> None:
    apps = {folder.name for folder in APPS.iterdir() if (folder / "__init__.py").is_file()}

    assert apps == ROOMS.keys() | OWN.keys()


@pytest.mark.parametrize("app", sorted(ROOMS))
def test_a_domain_app_holds_the_common_modules_and_its_rooms(app: str) -> None:
    rooms = held(APPS / app) - COMMON

    assert rooms == ROOMS[app]
    assert all((APPS / app / room).is_dir() for room in rooms)


@pytest.mark.parametrize("app", sorted(OWN))
def test_core_and_the_interfaces_hold_what_is_listed(app: str) -> None:
    kept = {"apps", "errors", "limits", "management", "migrations", "models"}

    assert held(APPS / app) - kept == OWN[app]


def test_architecture_names_each_room() -> None:
    text = (APPS.parent / "docs/architecture.md").read_text()

    assert not [f"{app}.{room}" for app, rooms in ROOMS.items() for room in rooms if f"`{room}`" not in text]


def test_rules_query_nothing() -> None:
    modules = [file for name in ("rules", "onchain") for file in APPS.glob(f"*/{name}/**/*.py")]

    assert modules
    assert not [place for file in modules for place in queries(file)]
