"""A pool of two console machines is upgraded one by one while it proves, mines, seals and is pushed to.

The first version is that of before tables were expanded and contracted, before leases and `make console`;
`POOLSITE_UPGRADE_FROM` names others.  Nothing is excused but wins beside the restart of the only signer.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Final

import httpx
import psycopg2
import pytest

from poolsite.embedded.programs import postgres_programs
from tests.acceptance.messager import token_for
from tests.acceptance.pool import MINER_S, SEALED_S
from tests.acceptance.soak import Soak
from tests.acceptance.upgrade import (
    LOCKS,
    PUSH_EVERY_S,
    ConsoleMachine,
    Leaders,
    Program,
    Pushes,
    Repeated,
    Undisturbed,
    checkout,
    judged,
    program_env,
)
from tests.cables import Cable
from tests.integration.pools import SITE, wait_until
from tests.notes import REPORT
from tests.servers import port_free, postgres_on_tcp, redis_on_tcp

pytestmark = [pytest.mark.xdist_group("pool"), pytest.mark.slow]

FROM: Final = (os.environ.get("POOLSITE_UPGRADE_FROM") or "7104046d").split(",")
NETWORK: Final = "soak"
SECTORS: Final = 4
ELSEWHERE: Final = "signer-init,signer,sealer,prover"
"""What runs on no console machine."""
STARTED_S: Final = 120
PROVERS: Final = "select count(*) from gateway_proverconnection where closed_at is null and purpose = 'proof'"


def programs(first: ConsoleMachine, line: Cable, tree: Path) -> list[Program]:
    """The hosts' programs: a sealer, two provers, and last the signer."""
    env, base = program_env(first), first.base
    console = ["--console", f"http://127.0.0.1:{line.port}", "--store", str(base / "store")]

    def host(program: str, name: str) -> Program:
        words = [
            "workers",
            program,
            "--dir",
            str(base / name),
            "--host",
            name,
            *console,
            "--snark",
            "vanilla",
        ]
        words += ["--sector-size", "2KiB", "--token-file", str(first.var / "tokens" / program)]
        return Program(name, tree, words, env=env, log=base / f"{name}.log")

    keys = ["workers", "signer", "--dir", str(first.var / "signer")]
    keys += ["--console", f"ws://127.0.0.1:{line.port}/rpc/v1", "--listen", f"127.0.0.1:{port_free()}"]
    keys += ["--token-file", str(first.var / "tokens" / "signer")]
    signer = Program("signer", tree, keys, env=env, log=base / "signer.log")
    return [host("sealer", "rack-s"), host("prover", "rack-a"), host("prover", "rack-b"), signer]


def chain_of(first: ConsoleMachine, addresses: dict[str, str]) -> Program:
    """The small chain, of this version: nodes are not ours to upgrade."""
    data = first.var / "devnet" / "chain.sqlite"
    data.parent.mkdir()
    words = ["poolsite.devnet", "--listen", first.listen, "--network", NETWORK, "--data", str(data)]
    words += [word for one in dict.fromkeys(addresses.values()) for word in ("--fund", f"{one}=10000")]
    return Program("devnet", SITE, words, env=program_env(first), log=first.base / "devnet.log")


def upgraded(first: ConsoleMachine, second: ConsoleMachine, line: Cable, say: Callable[[str], None]) -> None:
    """Bring the database to this version, then one machine after the other."""
    began = time.monotonic()
    first.migrate(SITE)
    say(f"migrated in {time.monotonic() - began:.0f} s beside both machines")
    for machine, other in ((second, first), (first, second)):
        began = time.monotonic()
        line.targets = [other.port]
        machine.stop()
        machine.tree = SITE
        machine.start(within_s=STARTED_S)
        machine.wait_all_up()
        line.targets = [first.port, second.port]
        say(f"{machine.name} away for {time.monotonic() - began:.0f} s")


@pytest.mark.parametrize("commit", FROM)
def test_an_upgrade_machine_by_machine_loses_no_window_win_or_message(
    commit: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    try:
        old = checkout(commit, tmp_path / "old")
    except subprocess.CalledProcessError:
        pytest.skip(f"this checkout has no commit {commit}: it was cloned without its history")
    said: list[str] = [f"from {commit}"]
    with ExitStack() as held:
        database = held.enter_context(postgres_on_tcp(postgres_programs()))
        shared = {
            "DATABASE_URL": f"{database}/pool",
            "REDIS_URL": held.enter_context(redis_on_tcp()),
            "POOLSITE_NETWORK": NETWORK,
        }
        with closing(psycopg2.connect(f"{database}/postgres")) as link:
            link.autocommit = True
            link.cursor().execute("create database pool")
        first = ConsoleMachine("first", old, POOLSITE_DISABLE=ELSEWHERE, **shared)
        shared |= {"CHAIN_URLS": first.chain.url}
        first.env |= shared
        second = ConsoleMachine("second", old, POOLSITE_DISABLE=ELSEWHERE, **shared)
        addresses = keys_make(first, old)
        chain = chain_of(first, addresses)
        held.callback(chain.stop)
        chain.start()
        wait_until(lambda: answers(first), within_s=STARTED_S, what="the chain answers")
        held.push(first.__exit__)
        first.start(within_s=STARTED_S)
        line = held.enter_context(Cable(first.port).running())
        hosts = programs(first, line, old)
        for program in hosts:
            held.callback(program.stop)
            program.start()
        first.share(second)
        held.push(second.__exit__)
        second.start(within_s=STARTED_S)
        line.targets = [first.port, second.port]
        wish = {name: addresses[name] for name in ("owner", "worker")} | {"name": "upgraded"}
        wait_until(
            lambda: (
                first.ask("POST", "/api/v1/miners", json={**wish, "sector_size": 2048}).status_code == 201
            ),
            within_s=MINER_S,
            what=first.diagnosis,
        )
        miner = first.wait_miner()
        verb(first, old, "policy", "--by", "test", "--miner", miner)
        first.pledge(miner, SECTORS)
        wait_until(
            lambda: len(first.chain.active(miner)) == SECTORS,
            within_s=SEALED_S + 20 * SECTORS,
            what=first.diagnosis,
        )
        wait_until(lambda: first.rows_of(PROVERS)[0][0] >= 2, within_s=MINER_S, what=first.diagnosis)
        message = {
            "Version": 0,
            "Nonce": 0,
            "GasLimit": 0,
            "GasFeeCap": "0",
            "GasPremium": "0",
            "Params": None,
        }
        message |= {"From": addresses["worker"], "To": addresses["owner"], "Method": 0, "Value": "7"}
        pushes = Pushes(f"http://127.0.0.1:{line.port}", token_for(first, "pool"), message)
        leaders, beside = Leaders(shared["DATABASE_URL"]), Undisturbed(first.chain)
        soak = Soak(first, [miner], beside, is_strict=True)  # type: ignore[arg-type]  # what it asks a disturber
        window = int(first.chain.deadline(miner)["WPoStChallengeWindow"])
        try:
            with Repeated(leaders.look, 0.1), Repeated(pushes.push, PUSH_EVERY_S), judged(soak):
                calm(soak, window)
                olds = {lock: holder for lock, [holder] in leaders.order.items()}
                upgraded(first, second, line, said.append)
                first.pledge(miner, 1)
                for program in hosts[:-1]:
                    program.update(SITE)
                    time.sleep(10)
                beside.done.append(hosts[-1].update(SITE))
                calm(soak, 2 * window)
                first.wait_active(miner, set(range(SECTORS + 1)), within_s=SEALED_S)
            soak.end()
            pushes.require_paid_once(first.chain, first)
        finally:
            record_property(REPORT, "; ".join([*said, str(leaders), str(pushes), soak.report]))
    assert soak.windows.all
    assert soak.windows.bad == 0
    assert set(olds) == set(LOCKS.values())
    for lock, order in leaders.order.items():  # each holder's session has a name of its own
        assert order.index(olds[lock]) == 0
        assert len(order) == len(set(order)) >= 2, order


def answers(machine: ConsoleMachine) -> bool:
    """Return whether the chain answers."""
    try:
        return machine.chain.height() >= 0
    except httpx.TransportError:
        return False


def calm(soak: Soak, epochs: int) -> None:
    """Wait until the chain has grown by a number of epochs."""
    until = soak.pool.chain.height() + epochs
    wait_until(lambda: soak.pool.chain.height() >= until, within_s=epochs * 8.0, what=soak.pool.diagnosis)


def keys_make(first: ConsoleMachine, tree: Path) -> dict[str, str]:
    """Have the signer's keys made; gives their addresses."""
    words = verb(first, tree, "init")
    (first.var / "signer.json").write_text(words)
    addresses: dict[str, str] = json.loads(words)
    return addresses


def verb(first: ConsoleMachine, tree: Path, name: str, *words: str) -> str:
    """Run a verb of the signer of a checkout."""
    argv = [sys.executable, "-m", "workers", "signer", name, "--dir", str(first.var / "signer"), *words]
    return subprocess.run(
        argv, cwd=tree, env=program_env(first), check=True, capture_output=True, text=True
    ).stdout
