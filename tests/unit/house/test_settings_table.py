"""The table of settings has each variable that the console reads, with its default."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from poolsite.console_folder import SHARED
from poolsite.embedded.options import TASK_THREADS
from poolsite.settings.variables import VARIABLES
from tests.timing import SITE

READ_IN: Final = ("poolsite/settings", "poolsite/embedded")
OF_LIBRARIES: Final = {"PGOPTIONS", "PGHOST", "PGDATABASE"}
FOR_CHILDREN: Final = {"POOLSITE_READY_FD", "POOLSITE_SIGNER_FILE"}
"""What the supervisor alone sets."""


def rows() -> dict[str, str]:
    """Return each variable of the table with the words of its default."""
    return {name: default for group in VARIABLES.values() for name, (default, _) in group.items()}


def calls() -> Iterator[tuple[str, ast.Call]]:
    """Yield each call that reads a variable, with its name."""
    files = [file for folder in READ_IN for file in (SITE / folder).glob("*.py")]
    for node in (node for file in files for node in ast.walk(ast.parse(file.read_text()))):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        called, first = ast.unparse(node.func), node.args[0]
        is_read = called.startswith("env_") or called in {"env.get", "os.environ.get", "number"}
        if is_read and isinstance(first, ast.Constant) and re.fullmatch(r"[A-Z][A-Z0-9_]+", str(first.value)):
            yield str(first.value), node


def test_table_has_each_variable_that_the_console_reads() -> None:
    names = {name for name, _ in calls()} - OF_LIBRARIES - FOR_CHILDREN

    assert len(names) > 30
    assert sorted(names - rows().keys()) == []


def test_table_has_the_default_of_each_number() -> None:
    table = rows()
    for name, call in calls():
        if ast.unparse(call.func) in {"env_number", "number"}:
            words = ast.unparse(call.args[1])
            default = eval(words, {"TASK_THREADS": TASK_THREADS})  # of our own source
            assert table[name] == str(default), name


def test_variables_of_the_table_are_read() -> None:
    files = [file for part in ("poolsite", "apps", "workers") for file in (SITE / part).rglob("*.py")]
    files.remove(SITE / "poolsite" / "settings" / "variables.py")
    text = "\n".join(file.read_text() for file in [*files, SITE / ".ci" / "python"])
    unread = [name for name in rows() if not re.search(rf"\b{name}\b", text)]

    assert unread == []


def test_each_setting_is_the_pools_or_a_machines() -> None:
    own = {
        *("PORT", "POOLSITE_HOST", "POOLSITE_VAR", "POOLSITE_MACHINE", "POOLSITE_PROCESS", "READY_PROCESSES"),
        *("POOLSITE_NETWORK", "DEVNET_LISTEN", "SIGNER_LISTEN", "COMPAT_PORTS", "ADDRESS_TOKENS"),
        *("FORWARDED_ALLOW_IPS", "POOLSITE_SNARK", "POOLSITE_SECTOR_SIZE", "POOLSITE_PARAMETER_SEED"),
        *("FIL_PROOFS_PARENT_CACHE", "FIL_PROOFS_PARAMETER_CACHE", "POOLSITE_DISABLE"),
        *("POOLSITE_WEB_PROCESSES", "POOLSITE_TASK_THREADS", "DATABASE_CONN_MAX_AGE", "PYTHON"),
        *(
            "OIDC_ISSUER",
            "OIDC_CLIENT_ID",
            "OIDC_CLIENT_SECRET_FILE",
            "OIDC_GROUPS",
            "OIDC_NAME",
            "OIDC_SCOPE",
        ),
        *("OIDC_GROUPS_CLAIM", "OIDC_SESSION_H"),
        *("LOG_LEVEL", "LOG_FORMAT", "SERVER_TIMING", "PROMETHEUS_MULTIPROC_DIR", "SECRET_KEY", "JOIN_TOKEN"),
        "DEMO",
    }
    assert set(SHARED).isdisjoint(own)
    assert sorted(rows().keys() - set(SHARED) - own) == []
