"""`make up`: look, make what is missing, run every process of the pool until Ctrl-C.

Run: python -m poolsite.embedded
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import sys
from collections.abc import Callable
from typing import Any

from poolsite.embedded.errors import PortTaken, StartupError
from poolsite.embedded.folders import folders_create, passable_create
from poolsite.embedded.options import Options
from poolsite.embedded.own_folder import console_folder
from poolsite.embedded.ownership import addresses_reserved, listening_everywhere, owned, require_free
from poolsite.embedded.paths import PoolPaths
from poolsite.embedded.pool import FIRST_WEB, heartbeat_senders, pool_table
from poolsite.embedded.postgres import Cluster, cluster_create, cluster_of
from poolsite.embedded.preflight import preflight
from poolsite.embedded.supervisor import Supervisor
from poolsite.embedded.terminal import Terminal
from poolsite.open_files import files_limit_raise


def main() -> int:
    """Run the pool; 0 after Ctrl-C, 1 with one sentence if it cannot start."""
    terminal = Terminal()
    try:
        paths = PoolPaths.of_environment()
        folder = console_folder(paths)
        options = Options.of_environment(is_joined=folder is not None and folder.is_joined)
        cluster = cluster_of(paths) if options.runs_database else None
        preflight(paths, cluster)
        files_limit_raise()
        links = ports_open(options)
        with addresses_reserved(options.reserved_addresses):
            return run(paths, options, terminal=terminal, cluster=cluster, links=links)
    except StartupError as refusal:
        terminal.report(f"Poolsite cannot start: {refusal}.")
        return 1
    except KeyboardInterrupt:
        return 130


def ports_open(options: Options) -> list[socket.socket]:
    """Bind what the web processes serve; make sure that chain and signer find theirs.  Raises PortTaken."""
    if options.runs_chain:
        require_free_at("DEVNET_LISTEN", options.devnet_listen)
    if "signer" not in options.disabled and not options.is_demo:
        require_free_at("SIGNER_LISTEN", options.signer_listen)
    return listening_everywhere(options.host, options.ports)


def require_free_at(name: str, listen: str) -> None:
    """Make sure that a child will be able to listen there.  Raises PortTaken."""
    host, _, port = listen.rpartition(":")
    if not host or not port.isdecimal():
        raise PortTaken(f"{name} is {listen!r}: use host:port")
    require_free(host.strip("[]"), int(port))


def run(
    paths: PoolPaths,
    options: Options,
    *,
    terminal: Terminal,
    cluster: Cluster | None,
    links: list[socket.socket],
) -> int:
    """Own the folder, make what is missing, supervise."""
    report = terminal.report
    passable_create(paths.var)
    with owned(paths.var) as lease:
        report(f"Poolsite is starting; logs are in {paths.log}")
        if os.geteuid() == 0:
            report("All but PostgreSQL runs as root; a separate account is safer (docs/operations/start.md)")
        folders_create(paths)
        if cluster is not None:
            if cluster.moved_to is not None:
                report(
                    f"PostgreSQL's data is in {cluster.moved_to}, as its account cannot access {paths.var}"
                )
            cluster_create(cluster, lease=lease)
        environment_set(paths, options)
        table = pool_table(paths, options, cluster=cluster, web_fds=tuple(link.fileno() for link in links))
        os.environ["READY_PROCESSES"] = ",".join(heartbeat_senders(table))
        supervisor = Supervisor(table, var=paths.var, lease=lease, report=report, flush=terminal.flush)
        code = supervisor.run(when_ready=FIRST_WEB, announce=lambda: announce(paths, options, report))
        shutil.rmtree(paths.metrics, ignore_errors=True)
        report("Poolsite has stopped" if code == 0 else "Poolsite has stopped; the reason is above")
        return code


def environment_set(paths: PoolPaths, options: Options) -> None:
    """Set for the children what follows from the options; each reads its settings from there."""
    if options.is_demo:  # the rows have the prices; that there is a source makes pages show them
        os.environ["FIL_PRICES"] = str(paths.var / "demo-prices.csv")
    os.environ.update(
        DJANGO_SETTINGS_MODULE="poolsite.settings.embedded",
        POOLSITE_VAR=str(paths.var),
        POOLSITE_URL=os.environ.get("POOLSITE_URL") or options.url,
        PORT=str(options.port),
        DEVNET_LISTEN=options.devnet_listen,
        PROMETHEUS_MULTIPROC_DIR=str(paths.metrics),
        NUMBA_CACHE_DIR=str(paths.var / "numba"),
        PYTHONUNBUFFERED="1",
    )


def announce(paths: PoolPaths, options: Options, report: Callable[[str], None]) -> None:
    """Print where the page is and, until it was changed, with which password one gets in."""
    report(f"Open {options.url}")
    entry: dict[str, Any] = json.loads(paths.operator.read_text()) if paths.operator.exists() else {}
    if "password" in entry:
        report(f"Sign in as {entry['username']}, password {entry['password']} (valid until you change it)")
    if options.is_demo:
        report("This is a demo: all its data are made up, and nothing reaches a chain")
    report(f"Press Ctrl-C to stop everything; logs are in {paths.log}")


if __name__ == "__main__":
    sys.exit(main())
