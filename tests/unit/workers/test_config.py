"""What a worker is told at its start, and how it says that it cannot use it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from workers.agent.sealer import main
from workers.config import HostConfig, prover_config, sealer_config
from workers.config_mistakes import BadConfig
from workers.host_folder import uid_of
from workers.host_settings import CONSOLE_FILE


def arguments(folder: Path, *more: str) -> list[str]:
    """A good command line, and more."""
    (folder / "token").write_text("t\n")
    return ["--dir", str(folder), "--token-file", str(folder / "token"), *more]


def test_slots_come_from_file_and_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    (tmp_path / "config.toml").write_text("[slots]\npc1 = 7\npc2 = 3\n")

    config = sealer_config(arguments(tmp_path, "--slots", "pc2=4"))

    assert (config.slots["PC1"], config.slots["PC2"], config.slots["C1"]) == (7, 4, 1)


def test_sealing_stores_are_read_and_stand_beside_no_threads(tmp_path: Path) -> None:
    stores = "".join(f"[[sealing_store]]\npath = '{tmp_path}/{name}'\n" for name in ("a", "b"))
    (tmp_path / "config.toml").write_text(stores)
    assert sealer_config(arguments(tmp_path)).sealing_stores == (tmp_path / "a", tmp_path / "b")

    (tmp_path / "config.toml").write_text(f"{stores}[[sealing_thread]]\nlocation = '{tmp_path}'\n")
    with pytest.raises(BadConfig, match=r"sealing_store conflicts with \[\[sealing_thread\]\]"):
        sealer_config(arguments(tmp_path))


def test_layers_on_drives_are_read_for_one_process_of_ours(tmp_path: Path) -> None:
    layers = "[layers]\ndrives = ['/mnt/nvme1', 'nvme2']\nsectors = 64\n"
    (tmp_path / "config.toml").write_text(layers)
    known = sealer_config(arguments(tmp_path)).children.layers
    assert known is not None
    assert known.drives == ("/mnt/nvme1", str(tmp_path / "nvme2"))
    assert (known.sectors, known.wait_minutes, known.folder) == (64, 30, str(tmp_path / "layers"))

    (tmp_path / CONSOLE_FILE).write_text('{"host.slots.PC1": "64"}')
    known = sealer_config(arguments(tmp_path)).children.layers
    assert known is not None
    assert known.slots == 64, "as the console has set it: batches are at most that large"

    for own in ("[processors]\npc1 = ['true']\n", "[[processors.pc1]]\n[[processors.pc1]]\n"):
        (tmp_path / "config.toml").write_text(layers + own)
        with pytest.raises(BadConfig, match=r"\[layers\] conflicts with pc1 of \[processors\]"):
            sealer_config(arguments(tmp_path))


def test_a_folder_of_offline_deals_is_named_from_the_files_own(tmp_path: Path) -> None:
    (tmp_path / "incoming").mkdir()
    (tmp_path / "config.toml").write_text("[deals]\nfolder = 'incoming'\n")

    assert sealer_config(arguments(tmp_path)).deal_folder == tmp_path / "incoming"


def test_a_host_for_one_stage_has_no_other_slot(tmp_path: Path) -> None:
    config = sealer_config(arguments(tmp_path, "--slots", "only,c2=2"))

    assert {stage: count for stage, count in config.slots.items() if count} == {"C2": 2}
    assert config.token == "t"
    assert "t" not in repr(config).split("token")[0] or "token=" not in repr(config)


@pytest.mark.parametrize(
    ("file", "more", "words"),
    [
        ("[slots]\npc9 = 1", [], "config.toml, line 2: slots.pc9 is not a stage: did you mean pc2"),
        ("\n[slots]\npc1 = -1", [], "config.toml, line 3: slots.pc1 is -1: use a whole number from 0 to"),
        ("[slots]\npc1 = true", [], "line 2: slots.pc1 is True: use a whole number"),
        ("[slots", [], "config.toml, line 1: '.slots' cannot be read .Expected ']' at the end"),
        ("\n[slot.s]\npc1 = 1", [], "line 2: slot is unknown: did you mean slots"),
        ("slot.pc1 = 1", [], "line 1: slot is unknown: did you mean slots"),
        ('\n"slot s" = 1', [], "line 2: slot s is unknown: did you mean slots"),
        ("slots = 3", [], r"line 1: slots is not a table: put \[slots\] on a line of its own"),
        ("[slot]\npc1 = 1", [], "line 1: slot is unknown: did you mean slots"),
        ("pc1 = 1", [], "line 1: pc1 is unknown: use one of slots, proposed"),
        (
            "[[sealing_threads]]\nlocation = '/a'",
            [],
            "line 1: sealing_threads is unknown: did you mean sealing_thread",
        ),
        ("[deals]\nfolders = '/a'", [], "line 2: deals.folders is unknown: did you mean folder"),
        (
            "[deals]\nfolder = '/none'",
            [],
            "line 2: deals.folder names '/none', which is no folder: create it",
        ),
        ("[[sealing_store]]\nweight = 2", [], "line 2: sealing_store.weight is unknown: use path"),
        ("[[sealing_store]]\npath = 5", [], "line 2: sealing_store.path is 5: use a path"),
        ("[[sealing_store]]", [], "line 1: sealing_store.path is missing: add path ="),
        (
            "[[sealing_store]]\npath = '/a'\n[[sealing_store]]\npath = '/a/'",
            [],
            "line 4: sealing_store.path is '/a' twice",
        ),
        ("[layers]\nsectors = 16", [], r"line 1: layers.drives is \[\]: use drives = "),
        ("[layers]\ndrives = '/a'", [], "line 2: layers.drives is '/a': use drives = "),
        ("[layers]\ndrives = ['/a', '/a/']", [], "line 2: layers.drives names a drive twice"),
        (
            "[layers]\ndrives = ['/a']\nsectors = 17",
            [],
            "line 3: layers.sectors is 17: use one of 16, 32, 64, 128",
        ),
        (
            "[layers]\ndrives = ['/a']\nwait_minutes = -1",
            [],
            "line 3: layers.wait_minutes is -1: use a whole",
        ),
        ("[layers]\ndrive = ['/a']", [], "line 2: layers.drive is unknown: did you mean drives"),
        ("[processor]\npc1 = 1", [], "line 1: processor is unknown: did you mean processors"),
        ("processors = 3", [], r"line 1: processors is not a table: put \[processors\]"),
        ("[processors]\npc9 = ['/a']", [], "line 2: processors.pc9 is not a stage: did you mean pc2"),
        (
            "[processors]\npc1 = '/a'",
            [],
            r"line 2: processors.pc1 is '/a': use a program and its arguments: pc1",
        ),
        (
            "[processors.pc1]\nbin = '/a'",
            [],
            "line 2: processors.pc1.bin is '/a', which cannot be started",
        ),
        (
            "[processors]\nc2 = ['/nowhere/c2']",
            [],
            "line 2: processors.c2 names '/nowhere/c2', which cannot be started: install it there",
        ),
        (
            "[slots]\npc1 = 1\npc1 = 2",
            [],
            "line 3: 'pc1 = 2' cannot be read .*: it is defined twice: keep one of them",
        ),
        ("[slots]\n[slots]", [], r"line 2: '\[slots\]' cannot be read .*: keep one of them"),
        ("[slots]\npc1 = two", [], "line 2: 'pc1 = two' cannot be read .*: use name = value: a quoted"),
        ("[slots]\npc1 =", [], "line 2: 'pc1 =' cannot be read .*: use name = value"),
        ("[slots\npc1 = 1", [], r"line 1: '\[slots' cannot be read .*: use \[table\]"),
        ("proposed = 1", [], r"line 1: proposed is not a table: put \[proposed\]"),
        ("[proposed]\nsectors = 1", [], "line 2: proposed.sectors is unknown: did you mean sectors_max"),
        ("[proposed.slots]\npc1 = 1.5", [], "line 2: proposed.slots.pc1 is 1.5: use a whole number"),
        ("sectors_max = 'a'", [], "line 1: sectors_max is 'a': use a whole number"),
        ("", ["--config", "/nonexistent.toml"], "/nonexistent.toml does not exist: check --config"),
        ("", ["--slots", "pc9=1"], "--slots: unknown stage 'pc9': did you mean PC2"),
        ("", ["--slots", "pc1=x"], "use stage=number"),
        ("", ["--snark", "external"], "--snark external needs"),
        ("", ["--snark", "groth16"], "--snark groth16 needs --sector-size"),
        ("", ["--snark", "groth16", "--sector-size", "3KiB"], "--sector-size is '3KiB'"),
        ("", ["--token-file", "/nonexistent"], "cannot be read"),
        ("", ["--console", ""], "the console's address is ''"),
        ("", ["--console", "localhost:8000"], "use http://host:port"),
        ("", ["--console", "http://localhost:84000"], "use http://host:port"),
        ("", ["--console", "http://[::1:8000"], "use http://host:port"),
        ("", ["--console", "http://localhost :8000"], "use http://host:port"),
    ],
)
def test_what_cannot_be_used_is_said_in_a_sentence(
    tmp_path: Path, file: str, more: list[str], words: str
) -> None:
    (tmp_path / "config.toml").write_text(file)

    with pytest.raises(BadConfig, match=words):
        sealer_config(arguments(tmp_path, *more))


@pytest.mark.parametrize("text", [b"secret\nsecret", b"secret secret", b"secret\xe4", b"secret\x00"])
def test_what_is_no_token_is_refused_and_not_repeated(tmp_path: Path, text: bytes) -> None:
    file = tmp_path / "pasted"
    file.write_bytes(text)
    starts = [["--token-file", str(file)], ["--token", text.decode(errors="replace")]]

    for start in starts:
        with pytest.raises(BadConfig, match="does not contain a token") as refused:
            sealer_config(["--dir", str(tmp_path), *start])
        assert "secret" not in str(refused.value)


def test_a_mistake_ends_the_program_with_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.toml").write_text("slots = 3\n")

    assert main(arguments(tmp_path)) == 2
    assert "config.toml, line 1: slots is not a table" in capsys.readouterr().err


def test_a_named_file_stands_for_that_in_the_folder(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("[slots]\npc1 = 1\n")
    (tmp_path / "other.toml").write_text("[slots]\npc1 = 3\n")

    assert sealer_config(arguments(tmp_path, "--config", str(tmp_path / "other.toml"))).slots["PC1"] == 3


def test_two_files_in_the_folder_are_one_too_many(tmp_path: Path) -> None:
    for name in ("config.toml", "worker.toml"):
        (tmp_path / name).write_text("")

    with pytest.raises(BadConfig, match=r"config.toml and .*worker.toml both exist: keep one"):
        sealer_config(arguments(tmp_path))


def test_external_prover_needs_programs_for_windows_and_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda program: program)

    def refused(file: str) -> str:
        (tmp_path / "config.toml").write_text(file)
        with pytest.raises(BadConfig) as refusal:
            prover_config(arguments(tmp_path, "--snark", "external"))
        return str(refusal.value)

    window, win = 'window_post = ["/usr/bin/prove"]\n', 'winning_post = ["/usr/bin/win"]\n'
    assert "needs [processors] window_post = [...] and winning_post = [...] in " in refused("")
    assert "needs [processors] winning_post = [...] in " in refused("[processors]\n" + window)
    assert "needs [processors] window_post = [...] in " in refused("[processors]\n" + win)
    (tmp_path / "config.toml").write_text("[processors]\n" + window + win)
    config = prover_config(arguments(tmp_path, "--snark", "external", "--sector-size", "32GiB"))
    assert (config.processors["window_post"], config.sector_bytes) == (("/usr/bin/prove",), 32 << 30)
    assert config.name.startswith("prover-")


def test_an_own_binary_makes_external_proofs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda program: program)
    (tmp_path / "config.toml").write_text('[processors]\nc2 = ["/usr/bin/prove", "--fast"]\n')

    config = sealer_config(arguments(tmp_path, "--snark", "external"))

    assert config.processors == {"c2": ("/usr/bin/prove", "--fast")}


def test_a_folder_keeps_its_uid_and_two_starts_agree_on_it(tmp_path: Path) -> None:
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(uid_of(tmp_path / "w"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(set(found)) == 1
    assert uid_of(tmp_path / "w") == found[0]


@pytest.mark.parametrize("read", [sealer_config, prover_config])
def test_a_bucket_may_stand_where_a_folder_does(
    tmp_path: Path, read: Callable[[list[str]], HostConfig]
) -> None:
    config = read(arguments(tmp_path, "--store", "s3://sectors/pool1", "--store", str(tmp_path / "a")))
    assert [str(store) for store in config.stores] == ["s3://sectors/pool1", str(tmp_path / "a")]

    (tmp_path / "config.toml").write_text("[[attached]]\nurl = 's3://sectors/p'\nendpoint = 'http://minio'\n")
    config = read(arguments(tmp_path))
    assert [str(store) for store in config.stores] == ["s3://sectors/p"]
    assert config.buckets["s3://sectors/p"].endpoint == "http://minio"
    with pytest.raises(BadConfig, match="--store is 's3://x': use a bucket and a prefix"):
        read(arguments(tmp_path, "--store", "s3://x"))
