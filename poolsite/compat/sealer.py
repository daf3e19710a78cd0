"""venus-sealer: miners, stores and sectors of the pool, over REST."""

from __future__ import annotations

import argparse
import hashlib
import re
import sys
import time
import uuid
from pathlib import Path
from typing import Any, Final

from poolsite.compat.pool import Pool, pool_of
from poolsite.compat.sealer_info import info, info_options, miner_of, miner_options
from poolsite.compat.verb import Refused, Verb, elsewhere

POLL_S: Final = 2.0
CREATE_S: Final = 1800.0
"""A message waits for its signature, for its turn and for a block; then the chain confirms it."""
ATTACH_S: Final = 120.0
"""A host takes an order with its next heartbeat."""
NAME: Final = "venus-sealer"
"""How a miner is called that gets no name."""
CREATING, FAILED = "CREATING", "FAILED"
STATES: Final = [CREATING, "ACTIVE", FAILED]
SAME_NETWORKS: Final = {
    "testnetnet": "mainnet",
    "calibrationnet": "calibration",
    "calibnet": "calibration",
    "cali": "calibration",
}
UNITS: Final = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def size_read(text: str) -> int:
    """Return the bytes of a size such as 512M, 512MiB or 32GiB.  Raises Refused."""
    found = re.fullmatch(r"(\d+)\s*([KMG]?)(?:iB|B)?", text.strip(), re.IGNORECASE)
    if found is None:
        raise Refused(f"{text} is not a sector size: use 2KiB, 8MiB, 512M, 32GiB or 64GiB")
    return int(found[1]) * UNITS[found[2].upper()]


def init_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `init`; those of servers that the pool replaces may name the pool."""
    parser.add_argument("--actor", default="", metavar="ADDRESS", help="a miner that is on the chain")
    parser.add_argument("--owner", default="", help="owner of a new miner")
    parser.add_argument("--worker", default="", help="its worker; default: the owner")
    parser.add_argument("--sector-size", default="32GiB", metavar="SIZE")
    parser.add_argument("--name", "--wallet-name", default="", help="what the pool calls the miner")
    parser.add_argument(
        "--fund-worker",
        action="store_true",
        help="send the worker 0.1 FIL first if the chain does not know it",
    )
    parser.add_argument("--network", default="", help="refused if the pool works on another one")
    parser.add_argument(
        "--auth-token", default="", help="the pool's token; better --pool-token-file, which nobody else sees"
    )
    parser.add_argument("--messager-url", default="", metavar="URL", help="the pool, if --pool is not given")
    for name in ("--node-url", "--gateway-url", "--node-token", "--messager-token", "--gateway-token"):
        parser.add_argument(name, default="", help="accepted and not needed: the pool has its own")
    for name in ("--no-local-storage", "--nosync"):
        parser.add_argument(name, action="store_true", help="accepted and not needed")


def init(options: argparse.Namespace) -> str:
    """Add a miner of the chain to the pool, or create one and wait until it exists.

    The same line again creates no second miner; another one takes another --name.
    """
    pool = pool_of(options, url=options.messager_url, token=options.auth_token)
    _require_network(pool, options.network)
    if options.actor:
        return _miner_import(pool, options)
    if not options.owner:
        raise Refused("name the owner with --owner, or a miner that exists with --actor")
    owner, worker, size = options.owner, options.worker or options.owner, size_read(options.sector_size)
    name = options.name or f"{NAME} {digest_of(owner, worker, size)[:8]}"
    called = [row for row in pool.all_of("/api/v1/miners", state=STATES) if row["name"] == name]
    made = next((row for row in called if row["state"] != FAILED), None)
    if made is None:
        body = {"name": name, "owner": owner, "worker": worker, "sector_size": size}
        body |= {"fund_worker": options.fund_worker}
        # Two of these lines at once create one miner; after a failure, another.
        made = pool.post("/api/v1/miners", body, key=digest_of(*body.values(), len(called)))
    if made["sector_size"] != size or not made["create_message_id"]:
        raise Refused(f"the pool has another miner that is called {name}: choose another --name")
    sys.stdout.write(f"Pushed CreateMiner message: {made['create_message_id']}\n")
    sys.stdout.flush()  # the chain needs minutes
    return _miner_wait(pool, made)


def digest_of(*values: object) -> str:
    """Return a short digest of some values."""
    return hashlib.sha256("\0".join(map(str, values)).encode()).hexdigest()[:32]


def _require_network(pool: Pool, wished: str) -> None:
    if wished:
        network = pool.get("/api/v1/chain/head")["network"]
        if SAME_NETWORKS.get(network, network) != SAME_NETWORKS.get(wished, wished):
            raise Refused(f"the pool works on the network {network}, not on {wished}")


def _miner_import(pool: Pool, options: argparse.Namespace) -> str:
    known = [row for row in pool.all_of("/api/v1/miners") if row["address"]]
    wished = f"f{options.actor[1:]}" if options.actor.startswith("t") else options.actor
    if wished in {name for row in known for name in (row["address"], row["robust"])}:
        return f"{wished} is in the pool already"
    body = {"name": options.name or NAME, "address": options.actor}
    made = pool.post("/api/v1/miners", body)
    return f"Added miner: {made['address']} ({made['robust'] or made['name']})"


def _miner_wait(pool: Pool, made: dict[str, Any]) -> str:
    """Wait until the chain has a miner.  Raises Refused if its message fails, or takes too long."""
    until = time.monotonic() + CREATE_S
    while made["state"] == CREATING:
        if time.monotonic() > until:
            raise Refused(
                f"message {made['create_message_id']} has not landed yet: the same line again waits for it, "
                "and creates no second miner"
            )
        time.sleep(POLL_S)
        made = pool.get(f"/api/v1/miners/{made['uuid']}")
    if not made["address"]:
        raise Refused(f"the miner was not created: {made['error']}")
    return f"Created new miner: {made['address']} ({made['robust'] or ''})".replace(" ()", "")


def attach_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `storage attach`."""
    parser.add_argument("path", help="folder on the sealing host")
    parser.add_argument("--init", action="store_true", help="mark an empty folder as a new store")
    parser.add_argument("--store", action="store_true", help="for sealed sectors")
    parser.add_argument("--seal", action="store_true", help="accepted: a host seals in the DIR of its start")
    parser.add_argument("--weight", type=int, default=None)
    parser.add_argument("--host", default="", help="name of the sealing host; default: the only one")


def storage_attach(options: argparse.Namespace) -> str:
    """Order a host to attach a folder as a store, and wait until it has."""
    if options.seal and not options.store:
        raise Refused(
            "a host seals in the folder that it was started with: restart it by `make worker DIR=path`"
        )
    pool = pool_of(options)
    host = _host_of(pool, options.host)
    path = str(Path(options.path).absolute()) if options.path.startswith(".") else options.path
    body = {"worker_id": host["uuid"], "path": path, "new": options.init}
    if not (store := _store_at(pool, host, path)):
        pool.post("/api/v1/stores", body, key=uuid.uuid4().hex)
        until = time.monotonic() + ATTACH_S
        while not (store := _store_at(pool, host, path)):
            if time.monotonic() > until:
                raise Refused(
                    f"{host['name']} has not attached {path} within {ATTACH_S:.0f} s: its page says why"
                )
            time.sleep(POLL_S)
    if options.weight is not None:
        pool.call("PATCH", f"/api/v1/stores/{store['uuid']}", json={"weight": options.weight})
    return ""


def _host_of(pool: Pool, name: str) -> dict[str, Any]:
    """Return a sealing host by name, or the only one.  Raises Refused."""
    hosts = [
        row for row in pool.get("/api/v1/workers")["results"] if "seal" in row["kinds"] and not row["away"]
    ]
    found = [row for row in hosts if name in ("", row["name"], row["host"])]
    if len(found) == 1:
        return dict(found[0])
    if not hosts:
        raise Refused("no sealing host is connected: start one by `make worker`, see Hosts, Join a host")
    names = ", ".join(row["name"] for row in hosts)
    raise Refused(f"name one of the sealing hosts with --host: {names}")


def _store_at(pool: Pool, host: dict[str, Any], path: str) -> dict[str, Any] | None:
    """Return the store that a host has attached at a path."""
    for store in pool.all_of("/api/v1/stores"):
        if any((one["worker_id"], one["path"]) == (host["uuid"], path) for one in store["attachments"]):
            return dict(store)
    return None


def sectors_pledge(options: argparse.Namespace) -> str:
    """Begin a sector without client data."""
    pool = pool_of(options)
    miner = miner_of(pool, options.miner)
    made = pool.post(f"/api/v1/miners/{miner['address']}/sectors", {"count": 1}, key=uuid.uuid4().hex)
    return "\n".join(f"Created CC sector:  {row['number']}" for row in made["sectors"])


def list_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `sectors list`."""
    miner_options(parser)
    parser.add_argument("--states", default="", metavar="A,B", help="only sectors in these states")


def sectors_list(options: argparse.Namespace) -> str:
    """List the sectors of a miner, the lowest number first, with the pool's names of their states."""
    pool = pool_of(options)
    miner = miner_of(pool, options.miner)
    states = [one.strip().upper() for one in options.states.split(",") if one.strip()]
    rows = pool.all_of("/api/v1/sectors", miner=miner["address"], **({"state": states} if states else {}))
    lines = [("ID", "State", "OnChain", "Active", "Expiration")]
    lines += [
        (
            str(row["number"]),
            row["state"],
            "NO" if row["activation"] is None else "YES",
            "YES" if row["active"] else "NO",
            str(row["expiration"] or ""),
        )
        for row in sorted(rows, key=lambda row: int(row["number"]))
    ]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join(
        "  ".join(word.ljust(width) for word, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


RUN: Final = "the pool seals on its hosts and proves: start it by `make up`, another host by `make worker`"

VERBS: Final = (
    elsewhere("run", RUN),
    Verb("init", "add a miner of the chain, or create one", init, init_options),
    Verb("storage attach", "order a host to attach a folder as a store", storage_attach, attach_options),
    Verb("sectors pledge", "begin a sector without client data", sectors_pledge, miner_options),
    Verb("sectors list", "list the sectors of a miner", sectors_list, list_options),
    Verb("info", "show chain, power, balances and sectors of a miner", info, info_options),
)
