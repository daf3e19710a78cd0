"""sophon-auth's own command line and client library against our auth routes."""

from __future__ import annotations

import json
import re
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.acceptance.pool import RunningPool
from tests.integration.pools import wait_until
from tests.peers.conftest import tenant_new, token_of
from tests.peers.programs import SITE, Peer, PeerRefused

pytestmark = pytest.mark.peer

ROWS: Final = [
    json.loads(line) for line in (SITE / "tests/golden/gateway/auth_cli.jsonl").read_text().splitlines()
]
"""Commands given to the original's server, in their order, and what they printed."""

REVOKED_S: Final = 1.0
"""Within that every process of the pool refuses a revoked token (docs/people.md)."""
SIGNER: Final = "f1aqehzngfr44jzaf67cbogojpdm5q5hr427iv55i"
UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
JWT: Final = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w*-]+|<JWT>")
TIME: Final = re.compile(
    r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d \w+|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?( \+0000 UTC)?"
)
NUMBER: Final = re.compile(r"^(number: )?\d+(?=$|\t)", re.MULTILINE)


class Terminal:
    """Gives the program commands with our ids and tokens in the place of the recorded ones."""

    def __init__(self, program: Path, repo: Path, port: int) -> None:
        self.program = program
        self.repo = repo
        self.port = port
        self.token = ""
        self.ids: dict[str, str] = {}

    def run(self, words: list[str]) -> tuple[int, str]:
        """Run one command; gives its exit code and what it printed."""
        ours = [UUID.sub(lambda found: self.ids.get(found[0], found[0]), word) for word in words]
        ours = [word.replace("<JWT>", self.token) for word in ours]
        done = subprocess.run(
            [self.program, "--repo", self.repo, "--listen", f"127.0.0.1:{self.port}", *ours],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return done.returncode, done.stdout

    def learn(self, recorded: str, printed: str) -> None:
        """Keep the ids and the token of this run."""
        self.ids.update(zip(UUID.findall(recorded), UUID.findall(printed), strict=False))
        if printed.startswith("generate token success: "):
            self.token = printed.split()[-1]


def masked(text: str) -> str:
    """Print without ids, times, tokens and row numbers; of a listing, only what is about these two users."""
    text = NUMBER.sub("#", TIME.sub("<time>", JWT.sub("<JWT>", UUID.sub("<uuid>", text))))
    if text.startswith("#\nname: "):
        blocks = sorted(block for block in text.split("\n\n") if re.search("name: (alice|bob)$", block, re.M))
        return "\n\n".join(blocks)
    if text.startswith("num\tname"):
        return "\n".join(line for line in text.splitlines() if "\talice\t" in line)
    return text


@pytest.fixture(scope="module")
def terminal(
    sophon_auth: Path, pool: RunningPool, admin: str, tmp_path_factory: pytest.TempPathFactory
) -> Terminal:
    repo = tmp_path_factory.mktemp("sophon-auth")
    (repo / "token").write_text(admin)
    return Terminal(sophon_auth, repo, pool.port)


def test_every_auth_command_prints_what_the_original_prints(terminal):
    for row in ROWS:
        code, printed = terminal.run(row["cli"])
        terminal.learn(row["stdout"], printed)

        assert (row["cli"], code, masked(printed)) == (row["cli"], row["rc"], masked(row["stdout"]))

    assert len(ROWS) > 50


@pytest.fixture
def library(sophon: Path, pool: RunningPool, admin: str) -> Iterator[Peer]:
    """The client library, as the operator."""
    with Peer([sophon, f"http://127.0.0.1:{pool.port}"], token=admin) as peer:
        yield peer


def test_the_library_verifies_tokens_until_they_are_revoked(library, pool):
    user = tenant_new(pool, "library")
    token = library.call("GenerateToken", user, "sign", "some text")

    assert library.call("Verify", token) == {"name": user, "perm": "sign", "ext": "some text"}
    [listed] = library.call("GetToken", "", token)
    assert (listed["name"], listed["perm"]) == (user, "sign")
    library.call("RemoveToken", token)
    wait_until(lambda: is_refused(library, token), within_s=REVOKED_S, what="a revoked token")
    library.call("RecoverToken", token)
    assert library.call("Verify", token)["name"] == user
    with pytest.raises(PeerRefused, match="can't parse user from input token"):
        library.call("Verify", "not.a.token")


def is_refused(library, token):
    """Whether a token is refused; another process of the pool may take a moment longer to know."""
    try:
        library.call("Verify", token)
    except PeerRefused as refusal:
        return "401" in str(refusal)
    return False


def test_the_library_manages_users_miners_and_signers(library):
    user = f"user-{uuid.uuid4().hex[:8]}"
    miner = f"f0{uuid.uuid4().int % 10**9 + 10**9}"
    library.call("CreateUser", {"Name": user, "Comment": "made by a program", "State": 1})

    assert library.call("HasUser", user) is True
    assert library.call("GetUser", user)["comment"] == "made by a program"
    library.call("VerifyUsers", [user])
    with pytest.raises(PeerRefused, match="nobody"):
        library.call("VerifyUsers", [user, "nobody"])
    assert library.call("UpsertMiner", user, miner, True) is True
    assert library.call("UpsertMiner", user, miner, False) is False
    assert library.call("MinerExistInUser", user, miner) is True
    assert library.call("GetUserByMiner", miner)["name"] == user
    [owned] = library.call("ListMiners", user)
    assert (owned["Miner"], owned["OpenMining"]) == (miner, False)
    library.call("RegisterSigners", user, [SIGNER])
    assert library.call("SignerExistInUser", user, SIGNER) is True
    assert user in {row["name"] for row in library.call("GetUserBySigner", SIGNER)}
    library.call("UnregisterSigners", user, [SIGNER])
    assert library.call("SignerExistInUser", user, SIGNER) is False
    assert user in {row["name"] for row in library.call("ListUsersWithMiners", 0, 1000, 1)}
    assert library.call("DelMiner", miner) is True
    library.call("DeleteUser", {"Name": user})
    assert library.call("HasUser", user) is False


def test_the_library_keeps_rate_limits(library, pool):
    user = tenant_new(pool, "limited")
    limit = {"Id": "", "Name": user, "Service": "", "API": "", "ReqLimit": {"Cap": 1000, "ResetDur": 10**9}}

    made = library.call("UpsertUserRateLimit", limit)

    [kept] = library.call("GetUserRateLimit", user, made)
    assert kept["ReqLimit"] == limit["ReqLimit"]
    assert library.call("DelUserRateLimit", {"Name": user, "Id": made}) == made
    assert not library.call("GetUserRateLimit", user, "")


def test_a_tenants_own_token_may_not_manage(sophon, pool):
    token = token_of(pool, tenant_new(pool, "library"), perm="write")
    with Peer([sophon, f"http://127.0.0.1:{pool.port}"], token=token) as peer:
        assert peer.call("Verify", token)["perm"] == "write"
        with pytest.raises(PeerRefused, match="need admin prem: Permission Deny"):
            peer.call("GenerateToken", "library", "admin", "")
