"""The table of a pool's processes."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest

from poolsite.embedded.children import Child
from poolsite.embedded.errors import StartupError
from poolsite.embedded.options import Options
from poolsite.embedded.paths import PoolPaths
from poolsite.embedded.pool import heartbeat_senders, pool_table
from poolsite.embedded.postgres import Cluster

VARIABLES = (
    "PORT",
    "DATABASE_URL",
    "REDIS_URL",
    "CHAIN_URLS",
    "COMPAT_PORTS",
    "DEVNET_LISTEN",
    "POOLSITE_NETWORK",
    "POOLSITE_TASK_THREADS",
    "POOLSITE_SNARK",
    "POOLSITE_SECTOR_SIZE",
    "POOLSITE_PARAMETER_SEED",
    "DEMO",
)


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable of the person who runs the tests."""
    for name in (*VARIABLES, "POOLSITE_DISABLE", "POOLSITE_WEB_PROCESSES", "POOLSITE_HOST", "SIGNER_LISTEN"):
        monkeypatch.delenv(name, raising=False)


def table_in(folder: Path) -> dict[str, Child]:
    """Return the table of the environment's options, by name."""
    paths, options = PoolPaths(folder), Options.of_environment()
    cluster = Cluster(folder / "pg", folder / "s", folder, None, None) if options.runs_database else None
    return {child.name: child for child in pool_table(paths, options, cluster=cluster, web_fds=(3, 4))}


def test_every_name_in_the_table_is_its_own_and_all_needs_are_in_it(tmp_path: Path) -> None:
    table = table_in(tmp_path)

    assert {name for child in table.values() for name in child.after} <= table.keys()
    assert {"postgres", "redis", "prepare", "web-1", "web-2", "tasks", "follower", "devnet"} <= table.keys()


def test_nothing_waits_for_itself(tmp_path: Path) -> None:
    table = table_in(tmp_path)
    started: set[str] = set()

    while len(started) < len(table):
        ready = {name for name, child in table.items() if child.after <= started} - started
        assert ready, f"{table.keys() - started} wait for each other"
        started |= ready


@pytest.mark.parametrize(
    ("variable", "value", "gone"),
    [
        ("DATABASE_URL", "postgresql://db.example/pool", {"postgres"}),
        ("REDIS_URL", "redis://cache.example", {"redis"}),
        ("CHAIN_URLS", "http://node.example/rpc/v1", {"devnet", "bootstrap-miner", "signer-policy"}),
        ("POOLSITE_DISABLE", "sealer,prover", {"sealer", "prover"}),
    ],
)
def test_what_runs_elsewhere_is_not_started_and_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, gone: set[str]
) -> None:
    monkeypatch.setenv(variable, value)

    table = table_in(tmp_path)

    assert not gone & table.keys()
    assert {name for child in table.values() for name in child.after} <= table.keys()


def test_a_wrong_name_among_the_left_out_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POOLSITE_DISABLE", "sealers")

    with pytest.raises(StartupError, match="POOLSITE_DISABLE lists sealers"):
        table_in(tmp_path)


def test_the_process_that_serves_the_port_is_not_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POOLSITE_DISABLE", "web-1")

    with pytest.raises(StartupError, match="POOLSITE_DISABLE lists web-1"):
        table_in(tmp_path)


def test_an_ipv6_address_stands_in_brackets_in_urls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POOLSITE_HOST", "fd00::2")

    table = table_in(tmp_path)

    assert Options.of_environment().url == "http://[fd00::2]:8000"
    assert "http://[fd00::2]:8000" in table["sealer"].command()
    assert "ws://[fd00::2]:8000/rpc/v1" in table["signer"].command()


@pytest.mark.parametrize(
    ("name", "value"), [("PORT", "web"), ("PORT", "0"), ("POOLSITE_WEB_PROCESSES", "-1")]
)
def test_a_number_that_is_none_is_refused(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(StartupError, match=f"{name} is '{value}'"):
        Options.of_environment()


def test_old_ports_are_served_beside_the_new_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPAT_PORTS", "1")

    options = Options.of_environment()

    assert options.ports == [8000, 8989, 45132, 39812, 12308, 3453, 1789]
    assert options.signer_listen == "127.0.0.1:5678"


def test_some_old_ports_may_be_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPAT_PORTS", "8989, 5678")

    options = Options.of_environment()

    assert (options.ports, options.signer_listen) == ([8000, 8989], "127.0.0.1:5678")


def test_port_that_is_an_old_one_too_is_served_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "8989")
    monkeypatch.setenv("COMPAT_PORTS", "8989, 3453")

    assert Options.of_environment().ports == [8989, 3453]


@pytest.mark.parametrize("word", ["all", "8989,", "0,8989", "70000", "-1"])
def test_old_ports_that_are_none_are_refused(monkeypatch: pytest.MonkeyPatch, word: str) -> None:
    monkeypatch.setenv("COMPAT_PORTS", word)

    with pytest.raises(StartupError, match="use 1, or ports separated by commas"):
        Options.of_environment()


def test_later_opened_addresses_are_known_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert Options.of_environment().reserved_addresses == ["127.0.0.1:1234"]

    monkeypatch.setenv("COMPAT_PORTS", "1")
    assert Options.of_environment().reserved_addresses == ["127.0.0.1:1234", "127.0.0.1:5678"]

    monkeypatch.setenv("CHAIN_URLS", "http://node.example/rpc/v1")
    monkeypatch.setenv("POOLSITE_DISABLE", "signer")
    assert Options.of_environment().reserved_addresses == []


def test_hosts_are_told_the_form_of_their_proofs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("sealer", "prover"):
        words = table_in(tmp_path)[name].argv
        assert isinstance(words, list)
        assert words[words.index("--snark") + 1] == "auto"
        assert words[words.index("--parameter-seed") + 1] == "poolsite-devnet"

    monkeypatch.setenv("POOLSITE_SNARK", "groth16")
    monkeypatch.setenv("CHAIN_URLS", "http://node.example/rpc/v1")
    monkeypatch.setenv("POOLSITE_SECTOR_SIZE", "32GiB")
    words = table_in(tmp_path)["prover"].argv
    assert isinstance(words, list)
    assert words[words.index("--snark") + 1] == "groth16"
    assert "--parameter-seed" not in words, "no real chain takes proofs of parameters from a seed"

    monkeypatch.setenv("POOLSITE_PARAMETER_SEED", "of my own devnet")
    words = table_in(tmp_path)["prover"].argv
    assert isinstance(words, list)
    assert words[words.index("--parameter-seed") + 1] == "of my own devnet"


@pytest.mark.parametrize(
    ("env", "told"),
    [
        ({}, ["2KiB"]),
        ({"CHAIN_URLS": "http://node.example/rpc/v1"}, []),
        ({"CHAIN_URLS": "http://node.example/rpc/v1", "POOLSITE_SECTOR_SIZE": "32GiB"}, ["32GiB"]),
    ],
)
def test_hosts_are_started_for_the_chains_sector_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, env: dict[str, str], told: list[str]
) -> None:
    for name, value in env.items():
        monkeypatch.setenv(name, value)

    for name in ("sealer", "prover"):
        words = table_in(tmp_path)[name].command()
        assert [after for word, after in pairwise(words) if word == "--sector-size"] == told


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({"POOLSITE_SECTOR_SIZE": "3KiB"}, "'3KiB': use one of 2KiB, 8MiB"),
        ({"POOLSITE_SECTOR_SIZE": "32GiB"}, "'32GiB': without CHAIN_URLS only 2KiB is supported"),
        (
            {"CHAIN_URLS": "http://node.example/rpc/v1", "POOLSITE_SNARK": "groth16"},
            "POOLSITE_SNARK=groth16 with CHAIN_URLS needs POOLSITE_SECTOR_SIZE",
        ),
    ],
)
def test_a_sector_size_with_which_no_host_would_start_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, env: dict[str, str], words: str
) -> None:
    for name, value in env.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(StartupError, match=words):
        table_in(tmp_path)


def test_hosts_elsewhere_need_no_sector_size_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAIN_URLS", "http://node.example/rpc/v1")
    monkeypatch.setenv("POOLSITE_SNARK", "groth16")
    monkeypatch.setenv("POOLSITE_DISABLE", "sealer,prover")

    assert not {"sealer", "prover"} & table_in(tmp_path).keys()


def test_form_of_proofs_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POOLSITE_SNARK", "stark")

    with pytest.raises(StartupError, match="POOLSITE_SNARK is 'stark': use one of auto, groth16"):
        Options.of_environment()


def test_readiness_waits_for_the_processes_of_the_console(tmp_path: Path) -> None:
    names = heartbeat_senders(table_in(tmp_path).values())

    assert set(names) == {"web-1", "web-2", "tasks", "tasks-slow", "follower", "blocks", "deals"}


def test_the_devnet_funds_the_signers_addresses_once_each(tmp_path: Path) -> None:
    (tmp_path / "signer.json").write_text(json.dumps({"owner": "f3a", "worker": "f3a", "control": "f1b"}))

    words = table_in(tmp_path)["devnet"].command()

    assert [word for word in words if "=" in word] == ["f3a=10000", "f1b=10000"]


def test_the_first_miner_is_named_in_the_signers_policy_once_it_is_made(tmp_path: Path) -> None:
    (tmp_path / "miner").write_text("f01003\n")
    step = table_in(tmp_path)["signer-policy"]

    words = step.command()

    assert step.once
    assert "bootstrap-miner" in step.after
    assert words[words.index("--miner") + 1] == "f01003"
    assert "--first" in words


def test_making_keys_is_tried_again_until_only_a_person_can_mend_it(tmp_path: Path) -> None:
    assert table_in(tmp_path)["signer-init"].tries is None


@pytest.mark.parametrize(("word", "threads"), [("", "8"), ("3", "3")])
def test_task_processes_get_the_configured_number_of_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, word: str, threads: str
) -> None:
    monkeypatch.setenv("POOLSITE_TASK_THREADS", word)

    table = table_in(tmp_path)

    for name in ("tasks", "tasks-slow"):
        words = table[name].command()
        assert words[words.index("--concurrency") + 1] == threads


def test_a_task_thread_count_that_is_no_number_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POOLSITE_TASK_THREADS", "many")

    with pytest.raises(StartupError, match="POOLSITE_TASK_THREADS"):
        table_in(tmp_path)


def test_only_task_workers_and_doors_keep_database_connections(tmp_path: Path) -> None:
    table = table_in(tmp_path)

    kept = {name for name, child in table.items() if child.env.get("DATABASE_CONN_MAX_AGE", "0") != "0"}
    assert kept == {"tasks", "tasks-slow", "deals"}


def test_a_demo_runs_neither_chain_nor_hosts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEMO", "1")

    assert set(table_in(tmp_path)) == {"postgres", "redis", "prepare", "web-1", "web-2", "demo"}


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("POOLSITE_NETWORK", "soak", "DEMO is for the network demo"),
        ("CHAIN_URLS", "http://127.0.0.1:1234/rpc/v1", "unset CHAIN_URLS"),
        ("DEMO", "perhaps", "DEMO is 'perhaps'"),
    ],
)
def test_a_demo_is_refused_beside_what_a_real_pool_has(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, why: str
) -> None:
    monkeypatch.setenv("DEMO", "1")
    monkeypatch.setenv(name, value)

    with pytest.raises(StartupError, match=why):
        Options.of_environment()
