"""A damocles-worker's file: what of it is obeyed, and each kind of mistake by line, key and remedy."""

from __future__ import annotations

import sys
import tomllib
from typing import TYPE_CHECKING

import pytest

from workers.config import BadConfig, sealer_config
from workers.damocles_config import BadFile, DamoclesFile, damocles_read, is_damocles

if TYPE_CHECKING:
    from pathlib import Path

FILE = """
[worker]
name = "seal-7"
[sector_manager]
rpc_client.addr = "/ip4/10.0.0.1/tcp/1789"
[sealing]
max_retries = 3
[[sealing_thread]]
location = "/mnt/nvme1/1"
[[sealing_thread]]
location = "/mnt/nvme1/2"
plan = "sealer"
sealing.enable_deals = true
[[attached]]
name = "p1"
location = "/mnt/p1"
[[attached]]
location = "/mnt/old"
readonly = true
[processors.limitation.concurrent]
pc1 = 2
transfer = 1
[processors.limitation.staggered]
pc1 = "5min"
[processors.ext_locks]
gpu1 = 1
[[processors.tree_d]]
[[processors.pc1]]
cgroup.cpuset = "0-7"
numa_preferred = 0
envs = { FIL_PROOFS_MAXIMIZE_CACHING = "1" }
[[processors.pc2]]
locks = ["gpu1"]
[[processors.c2]]
bin = "/usr/local/bin/c2"
args = ["--gpu", "1"]
concurrent = 3
"""


@pytest.fixture(autouse=True)
def programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """All programs are installed."""
    monkeypatch.setattr("shutil.which", lambda program: f"/usr/bin/{program}")


def read(text: str, *, cpus: int = 64) -> DamoclesFile:
    return damocles_read(tomllib.loads(text), text, cpus=cpus)


def test_what_a_host_obeys_of_the_file_is_what_the_file_means() -> None:
    file = read(FILE)

    assert (file.name, file.stores, file.read_only) == ("seal-7", ["/mnt/p1", "/mnt/old"], ["/mnt/old"])
    assert file.settings == {"sectors_max": 2, "slots.PC1": 2, "slots.PERSIST": 1, "slots.C2": 3}
    pinned = ("env", "FIL_PROOFS_MAXIMIZE_CACHING=1", "numactl", "--preferred=0", "taskset", "-c", "0-7")
    assert file.processors == {
        "pc1": (*pinned, sys.executable, "-m", "workers.processors", "pc1"),
        "c2": ("/usr/local/bin/c2", "--gpu", "1"),
    }
    assert any("staggered" in note for note in file.notes)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[worker]\nnmae = "a"', "line 2: worker.nmae is unknown: did you mean name?"),
        ("[[sealing_thread]]\nplan = 'sealer'", "line 1: sealing_thread.location is missing: write location"),
        (
            "[[sealing_thread]]\nlocation = '/a'\n[[sealing_thread]]\nlocation = '/a'",
            "line 4: sealing_thread.location is '/a' as of thread 1: give each",
        ),
        ("[[sealing_thread]]\nlocation = 'a'", "line 2: .*write an absolute path"),
        (
            "[[sealing_thread]]\nlocation = '/a'\nplan = 'seal'",
            "line 3: .*plan is 'seal': write one of",
        ),
        (
            "[[sealing_thread]]\nlocation = '/a'\n[sealing_thread.sealing]\nmax_deal = 1",
            "line 4: sealing_thread.sealing.max_deal is unknown: did you mean max_deals",
        ),
        (
            "[sealing_thread]\nlocation = '/a'",
            "line 1: sealing_thread is no array .*write",
        ),
        ("[sealing]\nseal_interval = 30", 'line 2: .* is 30: write a time, as "30s"'),
        ("[sealing]\nenable_deals = 'yes'", "line 2: .*write true or false"),
        ("[[attached]]\nname = 'a'", "line 1: attached.location is missing"),
        (
            "[[attached]]\nname='a'\nlocation='/a'\n[[attached]]\nname='a'\nlocation='/b'",
            "line 5: attached.name is 'a' twice",
        ),
        ("[processors.limitation.concurrent]\npc1 = 0", "line 2: .*pc1 is 0: write a whole number from 1"),
        ("[processors.limitation.concurrent]\npc9 = 1", "line 2: .*pc9 is unknown: did you mean pc"),
        ("[processors.limitation.staggered]\npc1 = '5'", "line 2: .*write a time"),
        ("[[processors.p1]]\nbin = 'x'", "line 1: processors.p1 is no stage: did you mean pc1"),
        ("[[processors.pc1]]\nbni = 'x'", "line 2: processors.pc1.bni is unknown: did you mean bin"),
        ("[[processors.pc1]]\nlocks = ['g']", "line 2: .*locks names 'g': add g = 1 to"),
        ("[[processors.pc1]]\ncgroup.cpuset = 'a'", "line 2: .*cpuset is 'a': write cores"),
        ("[[processors.pc1]]\ncgroup.cpuset = '0-8'", "line 2: .*names core 8: this machine has cores 0-7"),
        ("[[processors.pc1]]\nnice = 20", "line 2: .*from -20 to 19"),
        (
            "[[processors.pc1]]\ncgroup.cpuset = '0-5'\n[[processors.pc2]]\ncgroup.cpuset = '2-7'",
            "6 of pc1 .* \\+ 6 of pc2 .* = 12 cores, and this machine has 8: make",
        ),
        ("[[processors.c2]]\nbin = 'a'\n[[processors.c2]]\nbin = 'b'", "line 3: .*two processors"),
        ("[[processors.transfer]]\nbin = 'a'", "line 1: .*without bin"),
    ],
)
def test_each_mistake_is_named_by_line_key_and_remedy(text: str, words: str) -> None:
    with pytest.raises(BadFile, match=words):
        read(text, cpus=8)


def test_a_damocles_file_is_a_config_and_an_empty_one_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t\n")
    (tmp_path / "config.toml").write_text(FILE.replace('"0-7"', '"0"'))

    config = sealer_config(["--dir", str(tmp_path)])

    assert (config.name, [store.name for store in config.stores]) == ("seal-7", ["p1", "old"])
    assert (config.slots["PC1"], config.settings.get("sectors_max")) == (2, 2)
    assert config.processors["c2"] == ("/usr/local/bin/c2", "--gpu", "1")
    (tmp_path / "config.toml").write_text("")
    assert sealer_config(["--dir", str(tmp_path)]).settings.get("sectors_max") == 0


def test_a_mistake_stops_the_start_with_the_file_and_the_line(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t\n")
    (tmp_path / "config.toml").write_text("[worker]\nnmae = 'a'\n")

    with pytest.raises(BadConfig, match=r"config.toml, line 2: worker.nmae is unknown"):
        sealer_config(["--dir", str(tmp_path)])


def test_a_program_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _program: None)

    with pytest.raises(BadFile, match=r"line 2: .*numa_preferred needs numactl: install it"):
        read("[[processors.pc1]]\nnuma_preferred = 1")


def test_our_own_tables_are_no_damocles_file() -> None:
    assert not is_damocles(tomllib.loads('[slots]\npc1 = 1\n[processors]\nc2 = ["/bin/c2"]'))
    assert is_damocles(tomllib.loads(FILE))
