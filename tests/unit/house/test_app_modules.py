"""Every app has the same modules, and beside them only those that are listed here."""

from __future__ import annotations

from pathlib import Path

import pytest

APPS = Path(__file__).parents[3] / "apps"
COMMON = {
    *("apps", "due", "errors", "limits", "management", "migrations", "models"),
    *("selectors", "services", "states", "tasks"),
}
"""What an app may hold: one place for each question, as “where is a message replaced?”"""
OWN = {
    "chain": {"heads", "node"},
    "gateway": {"hub", "providers"},
    "blocks": {"rounds"},
    "checks": {"findings", "report", "table"},
    "wallets": set[str](),
    "users": {"access", "audit_search", "encryption", "principals"},
    "messages": {"diagnosis", "methods", "remedies"},
    "miners": {
        *("address_messages", "deal_addresses", "deal_reach", "miner_facts", "onchain", "partition_facts"),
    },
    "pieces": {"commitments", "data", "destinations", "files", "onchain", "socket_watch", "sources"},
    "sectors": {
        *("c1_files", "change_params", "deadline_windows", "extensions", "hardware", "lifetimes"),
        *("live_sectors", "onchain", "parallel_plan", "params", "planner", "policy", "proof_forms"),
        "sector_records",
    },
    "proving": {"policy", "sector_places", "winning_post_test"},
    "moves": {"lotus_metadata", "move_in", "move_out", "readings", "steps"},
    "core": {
        *("catalogue", "catalogue_files", "clock", "compiled", "connection_faults", "database_threads"),
        *("database_watch", "disk", "event_loops", "fields", "formatting", "grouped_calls", "handler"),
        *("health", "languages", "leader", "live"),
        *("liveness", "locks", "metrics", "middleware", "postgresql", "prepared_statements"),
        *("processes", "redis_clients", "renamed_migration", "sanitize", "sessions", "static", "streams"),
        *("task_threads", "transitions", "units"),
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
        ),
        *("job_wait", "market_storage", "metrics", "piece_gateway", "piece_store", "readiness", "routing"),
        *("rpc", "schema", "schema_hooks", "sector_counter", "urls", "v1"),
    },
    "dashboard": {
        *(
            "area_charts",
            "bell",
            "bulk_bar",
            "cards",
            "charts",
            "confirm_page",
            "csv_export",
            "day_spans",
            "forms",
        ),
        *("fragments", "html_time", "labels", "languages", "layout", "live", "live_fragments", "live_gaps"),
        *("notices", "number_fields", "page_data", "pages", "pagination", "passkeys", "pickers"),
        *("reauthentication", "registry", "routing", "sessions", "templatetags", "text_fields"),
        *("todo", "urls", "ws_origin"),
    },
}
"""What it holds besides, as a package of what runs beside services, or as a module of pure rules; a new one
needs its line here, and a reason to be neither a selector nor a service.  `core` and the two interfaces have
a module for each thing that they offer."""


def held(app: Path) -> set[str]:
    """Names of an app's modules and packages."""
    files = {file.stem for file in app.glob("*.py")} - {"__init__"}
    return files | {folder.name for folder in app.iterdir() if (folder / "__init__.py").is_file()}


def test_every_app_is_listed() -> None:
    apps = {folder.name for folder in APPS.iterdir() if (folder / "__init__.py").is_file()}

    assert apps == OWN.keys()


@pytest.mark.parametrize("app", sorted(OWN))
def test_an_app_holds_the_common_modules_and_its_listed_ones(app: str) -> None:
    own = held(APPS / app) - COMMON

    assert own == OWN[app]
