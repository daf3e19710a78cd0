"""The table of a pool's processes: what runs, after what, how it is known to work and how it ends."""

from __future__ import annotations

import signal
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

from poolsite.embedded import postgres, redis
from poolsite.embedded.children import Child, pause_patient, ready_after
from poolsite.embedded.console_processes import DOOR_ENV, WORKER_ENV, celery, process, step
from poolsite.embedded.devnet_processes import devnet_child, miner_step, policy_step
from poolsite.embedded.errors import StartupError
from poolsite.embedded.host_programs import hosts
from poolsite.embedded.paths import SITE
from poolsite.valkey import damaged_data_move

if TYPE_CHECKING:
    from poolsite.embedded.options import Options
    from poolsite.embedded.paths import PoolPaths
    from poolsite.embedded.postgres import Cluster

FIRST_WEB: Final = "web-1"
"""What the pool is announced by and the hosts wait for."""

TASK_QUEUES: Final = {"tasks": "head,messages", "tasks-slow": "proving,blocks,io"}
"""Task process and its queues."""


def pool_table(
    paths: PoolPaths, options: Options, *, cluster: Cluster | None, web_fds: tuple[int, ...]
) -> list[Child]:
    """List the children; adding a process is adding its line here."""
    manage = SITE / "manage.py"
    servers = {"postgres"} if cluster else set()
    data = {"prepare", "redis"} if options.runs_redis else {"prepare"}
    chain = {"devnet"} if options.runs_chain else set()
    web = [f"web-{number}" for number in range(1, options.web_processes + 1)]
    table: list[Child] = []
    if cluster is not None:
        table.append(postgres_child(cluster))
    if options.runs_redis:
        table.append(redis_child(paths))
    table += [
        step("prepare", "-m", "poolsite.embedded.preparation", after=servers, tries=5),
        *(process(name, "-m", "poolsite.web", *web_fds, after=data, pass_fds=web_fds) for name in web),
    ]
    if options.is_demo:
        table.append(process("demo", "-m", "poolsite.demo", after=data))
        return without(table, options.disabled)
    table += [
        *(
            process(name, *celery(queues, options), after=data, stop_s=15.0, env=WORKER_ENV)
            for name, queues in TASK_QUEUES.items()
        ),
        process("follower", manage, "follow", "--skip-checks", after=data | chain, ready=ready_after(1.0)),
        process("blocks", manage, "blocks", "--skip-checks", after=data | chain, ready=ready_after(1.0)),
        process(
            "deals",
            *(manage, "deal_door", "--skip-checks"),
            after=data,
            ready=ready_after(1.0),
            stop_s=15.0,
            env=DOOR_ENV,
        ),
        *hosts(paths, options, after={"web-1"}),
    ]
    if options.runs_chain:
        table += [devnet_child(paths, options), miner_step(paths, manage)]
        if not options.disabled & {"signer", "bootstrap-miner"}:
            table.append(policy_step(paths))
    return without(table, options.disabled)


def without(table: list[Child], disabled: frozenset[str]) -> list[Child]:
    """Return the children but for what runs elsewhere; nobody waits for it.  Raises StartupError."""
    unknown = disabled - {child.name for child in table}
    if unknown:
        raise StartupError(
            f"POOLSITE_DISABLE lists {', '.join(sorted(unknown))}, which is not a process of the pool"
        )
    if FIRST_WEB in disabled:
        raise StartupError(
            f"POOLSITE_DISABLE lists {FIRST_WEB}, which serves the port: set POOLSITE_WEB_PROCESSES instead"
        )
    enabled = [child for child in table if child.name not in disabled]
    return [replace(child, after=child.after - disabled) for child in enabled]


def heartbeat_senders(table: Iterable[Child]) -> list[str]:
    """List the processes whose heartbeats /readyz waits for."""
    return [child.name for child in table if child.sends_heartbeats and not child.once]


def postgres_child(cluster: Cluster) -> Child:
    """Describe the database server."""
    return Child(
        name="postgres",
        argv=cluster.command,
        account=cluster.account,
        cwd=cluster.data,
        prepare=partial(postgres.stale_pid_remove, cluster.data),
        ready=postgres.readiness_probe(cluster.sockets),
        stop_signal=signal.SIGINT,
        orphan_signal=signal.SIGINT,
        pause=pause_patient,
    )


def redis_child(paths: PoolPaths) -> Child:
    """Describe the broker and channel layer."""
    return Child(
        name="redis",
        argv=redis.command(paths),
        cwd=paths.var,
        prepare=partial(damaged_data_move, paths.var / "redis", paths.log / "redis.log"),
        ready=redis.readiness_probe(paths.redis_socket),
        orphan_signal=signal.SIGTERM,
    )
