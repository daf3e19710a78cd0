"""Files of venus-worker and of early damocles-workers: read by their old names, or refused by the present."""

from __future__ import annotations

from pathlib import Path

import pytest

from workers import damocles_config
from workers.config_mistakes import BadConfig
from workers.host_file import HostFile, host_file
from workers.stage_processors import Location

FIRST = """
[sealer_rpc]
url = "ws://127.0.0.1:1789/rpc/v0"
[sealing]
enable_deal = false
max_retries = 3
[static_tree_d]
2KiB = "./tmp/tree-d.dat"
[[store]]
location = "./tmp/store1"
[[store]]
location = "/mnt/store2"
sealing.enable_deal = true
[limit]
pc1 = 3
pc2 = 2
[remote]
path = "./tmp/remote"
[processors.tree_d]
external = true
[[processors.tree_d.subs]]
[processors.pc1]
external = true
[[processors.pc1.subs]]
envs = { RUST_LOG = "info" }
[[processors.pc1.subs]]
envs = { RUST_LOG = "warn" }
[processors.c2]
external = false
"""
"""As venus-worker's first releases had it."""

LATER = """
[worker_server]
port = 17891
[instance]
instance = "seal-7"
[[sealing_store]]
location = "store1"
sealing.allocate_max_retries = 3
[processor_limit]
pc1 = 3
[remote_store]
name = "p1"
location = "remote"
[attached_selection]
enable_space_weighted = true
[processors.limits.concurrent]
pc2 = 2
[processors.limits.delay]
pc1 = "1min"
[[processors.add_piece]]
[[processors.wdpost]]
"""
"""Names of several later ones."""


@pytest.fixture(autouse=True)
def folders(monkeypatch: pytest.MonkeyPatch) -> None:
    """All folders are there."""
    monkeypatch.setattr(damocles_config, "is_folder", lambda _: True)


def read(tmp_path: Path, text: str) -> HostFile:
    (tmp_path / "worker.toml").write_text(text)
    return host_file(tmp_path / "worker.toml")


def test_the_first_form_of_a_file_is_read(tmp_path: Path) -> None:
    file = read(tmp_path, FIRST).damocles

    first, second = Location(f"{tmp_path}/tmp/store1", "sealer", 1), Location("/mnt/store2", "sealer", 2)
    assert file.locations == [first, second]
    assert file.stores == [f"{tmp_path}/tmp/remote"]
    assert (file.settings["slots.PC1"], file.settings["slots.PC2"]) == (3, 2)
    assert file.rules["sealing.enable_deals"] == "false"
    assert {"true"} == {value for key, value in file.thread_rules.items() if key.endswith("enable_deals")}
    assert [one.environment for one in file.processors.children] == [
        {"RUST_LOG": "info"},
        {"RUST_LOG": "warn"},
    ]
    assert "store is read as sealing_thread, its present name" in file.notes


def test_later_names_are_read(tmp_path: Path) -> None:
    text = LATER.replace("[processor_limit]\npc1 = 3\n", "")
    file = read(tmp_path, text).damocles

    assert file.name == "seal-7"
    assert file.stores == [f"{tmp_path}/remote"]
    assert [one.path for one in file.locations] == [f"{tmp_path}/store1"]
    assert file.processors.staggered_s == {"pc1": 60.0}
    assert file.settings["slots.PC2"] == 2
    assert any(note.startswith("[attached_selection] is ignored") for note in file.notes)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            LATER,
            r"line 9: processor_limit is the old name of processors\.limitation\.concurrent, which is there",
        ),
        (
            "[sealing]\nenable_deal = true\nenable_deals = true\n",
            "line 2: sealing.enable_deal is the old name",
        ),
        ("[remote_store]\nlocation = 5\n", "line 2: attached.location is 5: use a path"),
        ("[processors.pc1]\nexternal = true\nnice = 5\n[[processors.pc1.subs]]\n", "pc1.nice is beside subs"),
        ("[[store]]\nlocatio = '/a'\n", "line 2: sealing_thread.locatio is unknown: did you mean location"),
    ],
)
def test_what_cannot_be_read_is_named_by_its_line(tmp_path: Path, text: str, words: str) -> None:
    if text == LATER:
        text = text.replace("[processors.limits.concurrent]", "[processors.limitation.concurrent]")
        text = text.replace("[processors.limits.delay]", "[processors.limitation.delay]")
        # the old table comes after the present one is there
    with pytest.raises(BadConfig, match=words):
        read(tmp_path, text)


def test_relative_paths_begin_in_the_files_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "bin" / "c2"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.chdir("/")
    text = "[[attached]]\nlocation = '../stores/p1'\n[[processors.c2]]\nbin = './bin/c2'\n"

    file = read(tmp_path, text).damocles

    assert file.stores == [f"{tmp_path.parent}/stores/p1"]
    assert [one.command[0] for one in file.processors.children] == [str(program)]
    assert read(tmp_path, "[[sealing_store]]\npath = 'nvme1'\n").sealing_stores == (f"{tmp_path}/nvme1",)
    assert read(tmp_path, "[processors]\npc1 = ['bin/c2']\n").processors == {"pc1": (str(program),)}
