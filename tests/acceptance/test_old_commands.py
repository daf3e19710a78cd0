"""The lines of the old programs' guides, run against a pool: what became of each is read from the pool."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from poolsite.filecoin.actors.power import CreateMinerParams
from poolsite.filecoin.address import POWER_ACTOR, address_parse
from poolsite.filecoin.codec import to_cbor
from poolsite.filecoin.sector import RegisteredPoStProof
from tests.acceptance.pool import RunningPool
from tests.integration.pools import SITE, wait_until
from tests.servers import port_free

pytestmark = pytest.mark.xdist_group("pool")

ELSEWHERE: Final = {
    "venus-auth": "make up",
    "venus-auth run": "make up",
    "venus daemon --network nerpa --authURL http://127.0.0.1:8989": "CHAIN_URLS",
    "venus-wallet run --network=test": "make signer",
    "venus-messager run --auth-url http://127.0.0.1:8989 --node-url /ip4/127.0.0.1/tcp/3453 --node-token T "
    "--db-type mysql --mysql-dsn root@/m": "make up",
    "venus-sealer run": "make worker",
    "venus-miner init --nettype nerpa --api /ip4/127.0.0.1/tcp/3453 --token T "
    "--auth-api http://127.0.0.1:8989 --gateway-api /ip4/127.0.0.1/tcp/45132": "make up",
    "venus-miner run --nettype nerpa": "make up",
    "lotus-miner run --window-post=true --winning-post=true --p2p=false --sctype=alloce "
    "--sclisten=127.0.0.1:1357": "runrole",
}
"""Lines that only start a server, with what they name instead."""


class OldCommands(RunningPool):
    """A pool whose signer listens where it is known, and that proves nothing."""

    def __init__(self) -> None:
        self.wallet = f"127.0.0.1:{port_free()}"
        super().__init__(
            web_processes=1, has_tables=True, SIGNER_LISTEN=self.wallet, POOLSITE_DISABLE="prover,blocks"
        )

    def run(self, line: str, *words: str, typed: str = "", **env: str) -> subprocess.CompletedProcess[str]:
        """Run a line, with more words behind it."""
        return subprocess.run(
            [sys.executable, "-m", "poolsite.compat", *line.split(), *words],
            cwd=SITE,
            env={**self.env, **env},
            input=typed,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )

    def done(self, line: str, *words: str, typed: str = "") -> str:
        """Run a line that must succeed; gives what it printed."""
        run = self.run(line, *words, typed=typed)
        assert (run.returncode, run.stderr) == (0, ""), run.stdout + run.stderr
        return run.stdout.strip()

    def refusal(self, line: str, *words: str) -> str:
        """Run a line that must be refused; gives its sentence."""
        run = self.run(line, *words)
        assert (run.returncode, run.stdout, run.stderr.count("\n")) == (1, "", 1), run.stdout + run.stderr
        return run.stderr

    def keys(self) -> dict[str, str]:
        """The first keys of the pool's signer."""
        return dict(json.loads((self.var / "signer" / "addresses.json").read_text()))

    def served(self, address: str) -> bool:
        """Whether a signer offers a key to the pool."""
        rows = self.read("/api/v1/wallets?limit=1000")["results"]
        return any(row["address"] == address and row["served"] for row in rows)


@pytest.fixture(scope="module")
def pool() -> Iterator[OldCommands]:
    """One pool for all lines."""
    with OldCommands() as pool:
        pool.wait_miner()
        yield pool


@pytest.mark.parametrize("line", ELSEWHERE)
def test_what_only_starts_a_server_names_ours(pool: OldCommands, line: str) -> None:
    run = pool.run(line)

    assert (run.returncode, run.stdout, run.stderr.count("\n")) == (3, "", 1)
    assert ELSEWHERE[line] in run.stderr


@pytest.mark.parametrize(
    ("line", "perm"),
    [
        ("venus-auth genToken --perm admin miner", "admin"),
        ("venus-auth genToken --perm admin messager", "admin"),
        ("venus-auth genToken --perm admin sealer", "admin"),
        ("venus-auth genToken --perm write sealer", "write"),
    ],
)
def test_a_programs_token_needs_no_user_before(pool: OldCommands, line: str, perm: str) -> None:
    said = pool.done(line)

    token = said.removeprefix("generate token success: ")
    name = line.split()[-1]
    assert pool.ask("POST", "/verify", json={"Token": token}).json() == {
        "name": name,
        "perm": perm,
        "ext": "",
    }
    assert pool.ask("GET", "/api/v1/miners", token=token).status_code == 200
    assert pool.read(f"/user/has?name={name}") is True


def test_a_user_gets_its_miner_and_no_other_users(pool: OldCommands) -> None:
    line = "venus-auth addUser --miner t07007 --srouceType 1 --name"

    assert pool.done(line, "cluster-7").startswith("add user success: ")
    assert pool.read("/user/miner?miner=f07007")["name"] == "cluster-7"
    assert pool.read("/user/miner/list?user=cluster-7")[0]["OpenMining"] is True

    assert "belongs to the user cluster-7" in pool.refusal(line, "another")
    assert pool.read("/user/has?name=another") is False
    assert pool.read("/user/miner?miner=f07007")["name"] == "cluster-7"


def test_a_new_key_is_the_signers_and_the_pool_is_offered_it(pool: OldCommands) -> None:
    made = [pool.done("venus-wallet new bls") for _ in ("owner", "worker")]

    assert all(address.startswith("f3") for address in made)
    wait_until(lambda: all(map(pool.served, made)), within_s=30, what="the pool knows the keys")
    assert set(made) <= set(pool.done("venus-wallet list").splitlines())


def test_another_password_keeps_the_signer_at_work(pool: OldCommands) -> None:
    file = pool.var / "signer" / "password"
    before = file.read_text()

    assert "Password set successfully" in pool.done("venus-wallet setpwd", typed="another long password\n")

    assert (file.read_text(), before != file.read_text()) == ("another long password\n", True)
    address = pool.done("venus-wallet new secp256k1")
    wait_until(lambda: pool.served(address), within_s=30, what="a key under the new password")
    body = {"id": "after-setpwd", "from": pool.keys()["owner"], "to": address, "value": "1 FIL", "method": 0}
    assert pool.ask("POST", "/api/v1/messages", json=body).status_code == 201
    wait_until(
        lambda: pool.read("/api/v1/messages/after-setpwd")["state"] == "LANDED",
        within_s=120,
        what=lambda: str(pool.read("/api/v1/messages/after-setpwd")),
    )


def test_the_signer_serves_an_account_that_the_pool_has(pool: OldCommands) -> None:
    def accounts() -> str:
        return str(pool.rpc("Gateway.ListWalletInfo")["result"])

    pool.done("venus-auth genToken --perm sign supported")
    assert "nobody-here" not in accounts()

    pool.done("venus-wallet support supported")

    assert "supported" in accounts()
    pool.refusal("venus-wallet support nobody-here")
    assert "nobody-here" not in accounts()
    assert "nobody-here" not in (pool.var / "signer" / "accounts").read_text()


def test_the_pool_connects_to_a_wallet_by_what_api_info_prints(pool: OldCommands, tmp_path: Path) -> None:
    printed = pool.done("venus-wallet auth api-info --perm admin")
    token, url = printed.split(":", 1)
    secret = tmp_path / "token"
    secret.write_text(token)

    pool.done("venus-messager wallet add --name one --url", url, "--token", token)
    pool.done("venus-messager wallet add --name two --url", url, "--token-file", str(secret))
    pool.done("venus-messager wallet add --name three --url", url, typed=f"{token}\n")
    pool.done("venus-messager wallet add --name four --url", printed)

    def rows() -> list[dict[str, Any]]:
        return list(pool.read("/api/v1/remote-wallets"))

    own = pool.keys()["owner"]
    assert {row["name"] for row in rows()} == {"one", "two", "three", "four"}
    wait_until(
        # each was listed with its token; of four with the same keys, the last that came has them
        lambda: (
            all(row["answered_at"] and not row["error"] for row in rows())
            and any(own in row["keys"] for row in rows())
        ),
        within_s=60,
        what=lambda: str(rows()),
    )
    listed = pool.done("venus-messager wallet list")
    assert {row["ID"] for row in json.loads(listed)} == {row["uuid"] for row in rows()}
    assert token not in listed
    for row in rows():
        assert pool.ask("DELETE", f"/api/v1/remote-wallets/{row['uuid']}").status_code == 204


def old_servers(pool: OldCommands) -> list[str]:
    """Options of the guides' `init`: what named the old servers names the pool."""
    url = f"/ip4/127.0.0.1/tcp/{pool.port}/http"
    return [
        "--network", str(pool.read("/api/v1/chain/head")["network"]),
        "--auth-token", pool.operator["admin_token"],
        "--messager-url", url, "--node-url", url, "--gateway-url", url, "--no-local-storage",
    ]  # fmt: skip


def test_init_creates_a_miner_once(pool: OldCommands) -> None:
    owner, worker = pool.keys()["owner"], pool.keys()["worker"]
    line = f"venus-sealer init --worker {worker} --owner {owner} --sector-size 2KiB --wallet-name sealer-1"

    assert "not on nerpa" in pool.refusal(line, *old_servers(pool), "--network", "nerpa")
    said = pool.done(line, *old_servers(pool))

    address = said.split("Created new miner: ")[1].split()[0]
    made = pool.read(f"/api/v1/miners/{address}")
    assert (made["state"], made["name"], made["sector_size"]) == ("ACTIVE", "sealer-1", 2048)
    assert f"Pushed CreateMiner message: {made['create_message_id']}" in said
    assert pool.read(f"/api/v1/messages/{made['create_message_id']}")["state"] == "LANDED"
    assert address in pool.done(line, *old_servers(pool))
    assert [
        row["address"] for row in pool.read("/api/v1/miners")["results"] if row["name"] == "sealer-1"
    ] == [address]


def test_init_takes_a_miner_that_is_on_the_chain(pool: OldCommands) -> None:
    owner, worker = (address_parse(pool.keys()[name]) for name in ("owner", "worker"))
    params = to_cbor(CreateMinerParams(owner, worker, RegisteredPoStProof(10), b"", ()))
    before = set(pool.chain.call("StateListMiners", None))
    deposit = pool.chain.call("StateMinerCreationDeposit", None)
    body = {
        "id": "made-by-hand",
        "from": str(owner),
        "to": str(POWER_ACTOR),
        "method": 2,
        "value": deposit,
        "params": base64.b64encode(params).decode(),
    }
    assert pool.ask("POST", "/api/v1/messages", json=body).status_code == 201

    def message() -> dict[str, Any]:
        return dict(pool.read("/api/v1/messages/made-by-hand"))

    wait_until(lambda: message()["state"] == "LANDED", within_s=120, what=lambda: str(message()))
    [actor] = set(pool.chain.call("StateListMiners", None)) - before
    line = f"venus-sealer init --actor t{actor[1:]} --wallet-name cluster"

    pool.done(line, *old_servers(pool))

    made = pool.read(f"/api/v1/miners/f{actor[1:]}")
    assert (made["state"], made["name"], made["create_message_id"]) == ("ACTIVE", "cluster", None)
    assert "already" in pool.done(line, *old_servers(pool))


def test_a_host_attaches_a_folder(pool: OldCommands) -> None:
    folder = pool.base / "sealed"
    folder.mkdir()

    pool.done("venus-sealer storage attach --init --store --seal", str(folder))

    stores = pool.read("/api/v1/stores")["results"]
    assert [one["path"] for row in stores for one in row["attachments"]].count(str(folder)) == 1
    pool.done("venus-sealer storage attach --init --store --seal", str(folder))
    assert len(pool.read("/api/v1/stores")["results"]) == len(stores)
    assert "make worker" in pool.refusal("venus-sealer storage attach --seal", str(folder))


def test_a_sector_is_pledged_and_listed(pool: OldCommands) -> None:
    miner = pool.miner()

    said = pool.done("venus-sealer sectors pledge --miner", miner)

    [row] = pool.read(f"/api/v1/sectors?miner={miner}")["results"]
    assert said == f"Created CC sector:  {row['number']}"
    head, line = pool.done("venus-sealer sectors list --miner", miner).splitlines()
    assert head.split() == ["ID", "State", "OnChain", "Active", "Expiration"]
    assert line.split()[0] == str(row["number"])


def test_info_has_the_market_balance(pool: OldCommands) -> None:
    miner = pool.miner()

    said = pool.done("venus-sealer info --miner", miner)

    escrow = pool.chain.call("StateMarketBalance", miner, None)
    assert f"Market Balance: {int(escrow['Escrow']) / 10**18:g} FIL" in said
    row = pool.read(f"/api/v1/miners/{miner}")
    wanted = f"Miner: {miner} (2 KiB sectors)"
    assert [wanted in said, "[basefee" in said, "Below minimum" in said] == [
        True,
        True,
        not row["has_min_power"],
    ]
    assert "Worker Balance: " in said
    assert "Total Spendable: " in said


def test_blocks_are_made_for_the_miners_that_are_started(pool: OldCommands) -> None:
    miner = pool.miner()

    def is_on() -> bool:
        return bool(pool.read(f"/api/v1/miners/{miner}/mining")["on"])

    assert pool.done("venus-miner address stop", f"t{miner[1:]}") == "stop mining success."
    assert not is_on()
    assert miner not in pool.done("venus-miner address update")
    assert pool.done("venus-miner address start", f"t{miner[1:]}") == "start mining success."
    assert is_on()
    assert miner in pool.done("venus-miner address update")
    states = {row["Addr"]: row for row in json.loads(pool.done("venus-miner address state"))}
    assert set(states[miner]) == {"Addr", "IsMining", "Err"}
    on_chain = {row["address"] for row in pool.read("/api/v1/miners")["results"]}
    assert {row["Addr"] for row in json.loads(pool.done("venus-miner address list"))} == on_chain
    assert "name the miners" in pool.refusal("venus-miner address start")


def test_the_operators_token_goes_to_its_own_pool_alone(pool: OldCommands) -> None:
    line = "venus-miner address list --pool"

    assert "no token for http://localhost:1" in pool.refusal(line, "http://localhost:1")
    assert "does not answer" in pool.run(line, "http://localhost:1", POOLSITE_TOKEN="x").stderr
    wrong = pool.run(line, f"http://127.0.0.1:{pool.port}", POOLSITE_TOKEN="x")
    assert (wrong.returncode, "refused the token" in wrong.stderr) == (1, True)
    remote = pool.run(
        line,
        f"/ip4/127.0.0.1/tcp/{pool.port}",
        POOLSITE_TOKEN=pool.operator["admin_token"],
        POOLSITE_VAR="/nowhere",
    )
    assert (remote.returncode, pool.miner() in remote.stdout) == (0, True)


def test_links_run_the_same_lines(pool: OldCommands, tmp_path: Path) -> None:
    pool.done("link", str(tmp_path / "bin"))

    listed = subprocess.run(
        [tmp_path / "bin" / "venus-miner", "address", "list"],
        cwd=tmp_path,
        env=pool.env,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )

    assert pool.miner() in listed.stdout
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "venus-auth").write_bytes(b"\x7fELF")
    assert "is another program" in pool.refusal("link", str(tmp_path / "own"))
    assert [path.name for path in (tmp_path / "own").iterdir()] == ["venus-auth"]
