"""A damocles-worker's file: what of it is obeyed, and each kind of mistake by line, key and remedy."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from poolsite.wire.sealing_rules import EVERY, NewSectors
from workers.config import sealer_config
from workers.config_mistakes import BadConfig, BadFile
from workers.damocles_config import DamoclesFile, damocles_read, is_damocles
from workers.host_settings import HostSettings
from workers.stage_processors import HostProcessors, Location, StageProcessor
from workers.storage.bucket_settings import BucketSettings

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
    """All programs are installed, and the folders of all sealing threads are there."""
    monkeypatch.setattr("shutil.which", lambda program: f"/usr/bin/{program}")
    monkeypatch.setattr("workers.damocles_config.is_folder", lambda _location: True)


def read(text: str, *, cpus: int = 64) -> DamoclesFile:
    return damocles_read(tomllib.loads(text), text, cpus=cpus)


def test_what_a_host_obeys_of_the_file_is_what_the_file_means() -> None:
    file = read(FILE)

    assert (file.name, file.stores, file.read_only) == ("seal-7", ["/mnt/p1", "/mnt/old"], ["/mnt/old"])
    plans = {"slots.SNAP_ENCODE": 0, "slots.SNAP_PROVE": 0, "slots.UNSEAL": 0}
    assert file.settings == {"sectors_max": 2, "slots.PC1": 2, "slots.PERSIST": 1, "slots.C2": 3} | plans
    assert file.locations == [Location("/mnt/nvme1/1", "sealer", 1), Location("/mnt/nvme1/2", "sealer", 2)]
    assert file.rules == {"sealing.max_retries": "3"}
    assert file.thread_rules == {
        "threads.1.plan": "sealer",
        "threads.1.location": "/mnt/nvme1/1",
        "threads.2.plan": "sealer",
        "threads.2.location": "/mnt/nvme1/2",
        "threads.2.enable_deals": "true",
    }
    assert file.processors == HostProcessors(
        children=(
            StageProcessor(
                stage="pc1",
                around=("numactl", "--preferred=0", "taskset", "-c", "0-7"),
                environment={"FIL_PROOFS_MAXIMIZE_CACHING": "1"},
            ),
            StageProcessor(stage="pc2", locks=("gpu1",)),
            StageProcessor(stage="c2", command=("/usr/local/bin/c2", "--gpu", "1"), concurrent=3),
        ),
        locks={"gpu1": 1},
        staggered_s={"pc1": 300.0},
    )


def test_one_stage_has_a_processor_for_each_numa_node() -> None:
    nodes = [
        f"[[processors.pc1]]\nbin = '/opt/pc1'\nnuma_preferred = {node}\ncgroup.cpuset = '{cpus}'\nnice = 5\n"
        f"concurrent = {room}\nenvs = {{ HUGEPAGE_FILES_PATH = '/mnt/huge_{node}' }}\n"
        for node, cpus, room in ((0, "0-7", 2), (1, "8-15", 3))
    ]

    file = read("".join(nodes))

    assert file.settings == {"slots.PC1": 5}
    assert [
        (one.command, one.around, one.environment, one.concurrent) for one in file.processors.children
    ] == [
        (
            ("/opt/pc1", "processor", "pc1"),
            ("nice", "-n", "5", "numactl", f"--preferred={node}", "taskset", "-c", cpus),
            {"HUGEPAGE_FILES_PATH": f"/mnt/huge_{node}"},
            room,
        )
        for node, cpus, room in ((0, "0-7", 2), (1, "8-15", 3))
    ]


def test_a_limit_of_the_stage_counts_beside_those_of_its_processors() -> None:
    limit = "[processors.limitation.concurrent]\npc2 = {}\n[[processors.pc2]]\nconcurrent = 1\n"

    assert read(limit.format(9) + "[[processors.pc2]]\nconcurrent = 1").settings == {"slots.PC2": 2}
    assert read(limit.format(1) + "[[processors.pc2]]\nconcurrent = 1").settings == {"slots.PC2": 1}
    assert read("[[processors.pc2]]\n[[processors.pc2]]").settings == {"slots.PC2": 2}


def test_own_binaries_get_the_words_of_a_damocles_worker() -> None:
    file = read(
        "[[processors.add_pieces]]\nbin = '/opt/damocles-worker'\nstable_wait = '1min 30s'\n"
        "auto_restart = false\nweight = 2\ninherit_envs = false"
    )

    (child,) = file.processors.children
    assert child.command == ("/opt/damocles-worker", "processor", "add_pieces")
    assert (child.stage, child.ready_s, child.restarts, child.weight) == ("add_piece", 90.0, False, 2)
    assert not child.inherits_environment


def test_programs_for_several_sectors_have_as_many_slots() -> None:
    file = read("[[processors.pc1]]\nbin = '/opt/sealer'\nsectors = 16\nwait_minutes = 5")

    (child,) = file.processors.children
    assert file.settings == {"slots.PC1": 16}
    assert (child.sectors, child.concurrent) == (16, 16)
    assert child.spec({}).environment == {"POOLSITE_PROCESSOR_SECTORS": "16"}
    assert child.spec({}).wait_s == 300.0


def test_threads_plans_are_slots_and_what_they_lack_is_said() -> None:
    threads = "".join(
        f"[[sealing_thread]]\nlocation = '/a/{number}'\nplan = '{plan}'\n"
        for number, plan in enumerate(("sealer", "snapup", "snapup", "rebuild", "wdpost"))
    )

    file = read(threads + "[processors.limitation.concurrent]\nsnap_prove = 1")

    assert file.settings == {
        "sectors_max": 4,
        "slots.SNAP_ENCODE": 3,
        "slots.SNAP_PROVE": 1,
        "slots.UNSEAL": 0,
    }
    assert any("plan wdpost" in note for note in file.notes)
    assert any("no [[sealing_thread]] has plan unseal: unseal has 0 slots" in note for note in file.notes)
    assert any("starts no new sectors" in one for one in read(threads.replace("'sealer'", "'snapup'")).notes)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "[sealing]\nrpc_polling_interval = '60s'",
            "rpc_polling_interval of [sealing] is ignored: the console sets",
        ),
        (
            "[[sealing_thread]]\nlocation = '/a'\nsealing.ignore_proof_check = true",
            "ignore_proof_check of [[sealing_thread]] 1 is ignored: a sector is done once its proof has",
        ),
        ("[worker]\nping_interval = '30s'", "worker.ping_interval is ignored: the console sets how often"),
        (
            "[processors.limitation.staggered]\ntransfer = '1s'",
            "the staggered start of transfer is ignored",
        ),
        ("[processors.static_tree_d]\n32GiB = '/a'", "processors.static_tree_d is ignored"),
        ("[[processors.transfer]]\ncgroup.cpuset = '0'", "cgroup of [[processors.transfer]] is ignored"),
        (
            "[[processors.pc2]]\nstable_wait = '5s'\nnice = 1",
            "stable_wait of [[processors.pc2]] is ignored",
        ),
        (
            "[[processors.pc2]]\nargs = ['a']\nnice = 1",
            "args of [[processors.pc2]] are ignored without bin",
        ),
        (
            "[[processors.pc2]]\ncgroup.group_name = 'g'\ncgroup.cpuset = '1'",
            "cgroup.group_name of [[processors.pc2]] is ignored",
        ),
        ("[[processors.window_post]]\nbin = 'a'", "[[processors.window_post]] is ignored"),
    ],
)
def test_what_is_read_and_not_obeyed_is_said(text: str, words: str) -> None:
    assert any(words in note for note in read(text).notes)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[worker]\nnmae = "a"', "line 2: worker.nmae is unknown: did you mean name?"),
        ("[[sealing_thread]]\nplan = 'sealer'", "line 1: sealing_thread.location is missing: add location"),
        (
            "[[sealing_thread]]\nlocation = '/a'\n[[sealing_thread]]\nlocation = '/a'",
            "line 4: sealing_thread.location is '/a', already used by thread 1: give each",
        ),
        ("[[sealing_thread]]\nlocation = 5", "line 2: .*is 5: use a path"),
        (
            "[[sealing_thread]]\nlocation = '/a'\nplan = 'seal'",
            "line 3: .*plan is 'seal': use one of",
        ),
        (
            "[[sealing_thread]]\nlocation = '/a'\n[sealing_thread.sealing]\nmax_deal = 1",
            "line 4: sealing_thread.sealing.max_deal is unknown: did you mean max_deals",
        ),
        (
            "[sealing_thread]\nlocation = '/a'",
            "line 1: sealing_thread is not an array .*put",
        ),
        ("[sealing]\nallowed_miners = ['a']", r"line 2: .*use a list of actor IDs such as \[1000, 1001\]"),
        ("[sealing]\nallowed_sizes = ['3GiB']", "line 2: .*use sizes of 2KiB"),
        (
            "[sealing]\nenable_deals = false\n[[sealing_thread]]\nlocation = '/a'\nsealing.disable_cc = true",
            "line 5: sealing_thread.sealing.disable_cc would accept no sectors: set enable_deals to true",
        ),
        ("[sealing]\nseal_interval = 30", 'line 2: .* is 30: use a duration such as "30s"'),
        ("[sealing]\nenable_deals = 'yes'", "line 2: .*use true or false"),
        ("[sealing]\nmax_deals = 0", "line 2: .*max_deals is 0: .*for none set enable_deals = false"),
        ("[sealing]\nmin_deal_space = '65GiB'", "line 2: .*use a size of at most 64GiB"),
        ("[sealing]\nmin_deal_space = true", "line 2: .*use a size of at most 64GiB"),
        ("[sealing]\nrecover_interval = '8d'", "line 2: .*use a duration of at most 7d"),
        ("[[attached]]\nname = 'a'", "line 1: attached.location is missing"),
        (
            "[[attached]]\nname='a'\nlocation='/a'\n[[attached]]\nname='a'\nlocation='/b'",
            "line 5: attached.name is 'a' twice",
        ),
        ("[processors.limitation.concurrent]\npc1 = 0", "line 2: .*pc1 is 0: use a whole number from 1"),
        ("[processors.limitation.concurrent]\npc9 = 1", "line 2: .*pc9 is unknown: did you mean pc"),
        ("[processors.limitation.staggered]\npc1 = '5'", "line 2: .*use a duration"),
        ("[[processors.p1]]\nbin = 'x'", "line 1: processors.p1 is not a stage: did you mean pc1"),
        ("[[processors.pc1]]\nbni = 'x'", "line 2: processors.pc1.bni is unknown: did you mean bin"),
        ("[[processors.pc1]]\nlocks = ['g']", "line 2: .*locks names 'g': add g = 1 to"),
        ("[[processors.pc1]]\nsectors = 4", "line 2: .*sectors is for other programs than ours"),
        ("[[processors.pc1]]\nbin = 'true'\nwait_minutes = 4", "line 3: .*wait_minutes needs sectors"),
        (
            "[[processors.pc1]]\nbin = 'true'\nsectors = 4\nconcurrent = 2",
            "line 4: .*concurrent is less than the sectors of one request: use 4 or more",
        ),
        ("[[processors.pc1]]\ncgroup.cpuset = 'a'", "line 2: .*cpuset is 'a': use cores"),
        ("[[processors.pc1]]\ncgroup.cpuset = '9-1'", "line 2: .*cpuset is '9-1': use cores"),
        (
            "[[processors.pc1]]\ncgroup.cpuset = '0-99999999999'",
            "line 2: .*cpuset is '0-99999999999': use cores",
        ),
        ("[[processors.pc1]]\ncgroup.cpuset = '0-8'", "line 2: .*names core 8: this machine has cores 0-7"),
        ("[[processors.pc1]]\nnice = 20", "line 2: .*from -20 to 19"),
        (
            "[[processors.transfer]]\nbin = 'a'",
            "line 2: .*would copy into stores, .*checksums: remove bin",
        ),
    ],
)
def test_each_mistake_is_named_by_line_key_and_remedy(text: str, words: str) -> None:
    with pytest.raises(BadFile, match=words):
        read(text, cpus=8)


@pytest.mark.parametrize("name", ["config.toml", "worker.toml"])
def test_a_damocles_file_is_a_config_and_an_empty_one_says_nothing(tmp_path: Path, name: str) -> None:
    (tmp_path / "token").write_text("t\n")
    (tmp_path / name).write_text(FILE.replace('"0-7"', '"0"'))

    config = sealer_config(["--dir", str(tmp_path)])

    assert (config.name, [store.name for store in config.stores]) == ("seal-7", ["p1", "old"])
    assert (config.slots["PC1"], config.settings.get("sectors_max")) == (2, 2)
    assert config.processors["c2"] == ("/usr/local/bin/c2", "--gpu", "1")
    (tmp_path / name).write_text("")
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


def test_a_thread_whose_folder_is_missing_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.damocles_config.is_folder", lambda _location: False)

    with pytest.raises(BadFile, match=r"line 2: .*does not exist: mount its disk, or create it with mkdir"):
        read("[[sealing_thread]]\nlocation = '/a'")


def test_the_only_size_that_is_allowed_is_the_hosts(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t\n")
    (tmp_path / "worker.toml").write_text("[sealing]\nallowed_sizes = ['8MiB']\n")

    assert sealer_config(["--dir", str(tmp_path)]).sector_bytes == 8 << 20
    assert sealer_config(["--dir", str(tmp_path), "--sector-size", "2KiB"]).sector_bytes == 2 << 10


def test_our_own_tables_are_no_damocles_file() -> None:
    assert not is_damocles(tomllib.loads('[slots]\npc1 = 1\n[processors]\nc2 = ["/bin/c2"]'))
    assert is_damocles(tomllib.loads(FILE))


STORE = "[[attached]]\nurl = 's3://sectors/pool1'\n"


def test_a_store_may_be_a_bucket(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("[default]\naws_access_key_id = a\naws_secret_access_key = b\n")
    (tmp_path / "key").chmod(0o600)
    more = f"endpoint = 'https://s3:9000'\nregion = 'x'\ncredentials = '{tmp_path}/key'\nreadonly = true\n"

    file = read(STORE + more + "[[attached]]\nlocation = '/mnt/p1'\n")

    assert file.stores == ["s3://sectors/pool1", "/mnt/p1"]
    assert file.read_only == ["s3://sectors/pool1"]
    assert file.buckets == {
        "s3://sectors/pool1": BucketSettings("https://s3:9000", "x", str(tmp_path / "key"))
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[[attached]]\nurl = 's3:/x'", "line 2: attached.url is 's3:/x': use a bucket and a prefix"),
        ("[[attached]]\nurl = 's3://sectors/a//b'", "line 2: .*use a bucket and a prefix"),
        (STORE + "endpoint = 'minio:9000'", "line 3: attached.endpoint is 'minio:9000': use an address"),
        (STORE + "location = '/a'", "line 2: attached.url conflicts with location: keep one"),
        (
            "[[attached]]\nlocation = '/a'\nregion = 'x'",
            "line 3: attached.region is only for a bucket: add url",
        ),
        (STORE + "secret_key = 'hush'", "line 3: attached.secret_key is not allowed here: remove it"),
        (STORE + "credentials = 'key'", "line 3: attached.credentials is '/key'; "),
        (STORE + "credentials = '/nowhere/key'", "line 3: attached.credentials .*put the access key there"),
        (STORE + "regoin = 'x'", "line 3: attached.regoin is unknown: did you mean region"),
    ],
)
def test_each_mistake_of_a_bucket_has_line_key_and_remedy(text: str, words: str) -> None:
    with pytest.raises(BadFile, match=words) as refused:
        read(text)

    assert "hush" not in str(refused.value)


def test_a_file_with_the_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("[default]\naws_access_key_id = a\naws_secret_access_key = b\n")
    (tmp_path / "key").chmod(0o640)

    with pytest.raises(BadFile, match=r"line 3: attached.credentials .*can be read by others: chmod 600"):
        read(STORE + f"credentials = '{tmp_path}/key'")


THREADS = """
[sealing]
max_retries = 3
[[sealing_thread]]
location = "/a"
sealing.allowed_miners = [1000]
sealing.verify_after_pc2 = true
[[sealing_thread]]
location = "/b"
sealing.max_retries = 0
sealing.enable_deals = false
sealing.seal_interval = "5min"
"""


def threads_host(folder: Path) -> HostSettings:
    """The settings of a host with that file."""
    (folder / "token").write_text("t\n")
    (folder / "worker.toml").write_text(THREADS)
    return sealer_config(["--dir", str(folder)]).settings


def origin(settings: HostSettings, key: str) -> tuple[str, str] | None:
    return next(((one.value, one.origin) for one in settings.described() if one.key == key), None)


def test_a_thread_obeys_its_own_rules_over_those_of_its_host(tmp_path: Path) -> None:
    settings = threads_host(tmp_path)

    host, first, second = (settings.rules(number) for number in range(3))
    assert (host.takes, host.attempts_max) == (EVERY, 4), "three retries are four tries"
    assert (first.takes, first.attempts_max, first.verifies) == (NewSectors(miners=(1000,)), 4, True)
    assert (second.takes, second.attempts_max) == (NewSectors(takes_data=False), 1)
    assert (second.interval_s, second.verifies) == (300.0, False)
    assert origin(settings, "sealing.max_retries") == ("3", "file")
    assert origin(settings, "threads.1.allowed_miners") == ("f01000", "file of thread")
    assert origin(settings, "threads.1.max_retries") is None, "it is the host's"


def test_deals_and_the_pause_of_a_damocles_file_are_obeyed(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t\n")
    (tmp_path / "worker.toml").write_text(
        "[sealing]\nmax_deals = 3\nrecover_interval = '1min 500ms'\n"
        "[[sealing_thread]]\nlocation = '/a'\nsealing.min_deal_space = '1.5 KiB'\n"
        "[[sealing_thread]]\nlocation = '/b'\nsealing.max_deals = 1\nsealing.min_deal_space = 512\n"
    )
    settings = sealer_config(["--dir", str(tmp_path)]).settings

    host, first, second = (settings.rules(number) for number in range(3))
    assert (host.takes, host.recover_s) == (NewSectors(deals_max=3), 61)
    assert (first.takes, first.recover_s) == (NewSectors(deals_max=3, deal_bytes_min=1536), 61)
    assert second.takes == NewSectors(deals_max=1, deal_bytes_min=512)
    assert origin(settings, "sealing.recover_interval") == ("1min 500ms", "file")
    assert origin(settings, "threads.1.min_deal_space") == ("1.5 KiB", "file of thread")
    assert origin(settings, "sealing.min_deal_space") == ("0B", "default")


@pytest.mark.parametrize("name", ["config.toml", "worker.toml", "large.toml"])
def test_a_setting_names_the_file_that_says_it(tmp_path: Path, name: str) -> None:
    (tmp_path / "token").write_text("t\n")
    (tmp_path / name).write_text(THREADS)
    named = ["--config", str(tmp_path / name)] if name == "large.toml" else []

    told = sealer_config(["--dir", str(tmp_path), *named, "--slots", "c2=2"]).settings.described()

    files = {one.key: one.file for one in told}
    for key in ("sealing.max_retries", "threads.1.allowed_miners"):
        assert files[key] == str(tmp_path / name)
    for key in ("slots.C2", "sealing.disable_cc"):
        assert files[key] == "", "the command line and the default are in no file"


def test_what_the_console_sets_for_a_thread_wins_until_it_is_taken_away(tmp_path: Path) -> None:
    settings = threads_host(tmp_path)
    told = {
        "thread.threads.1.allowed_miners": "all",
        "thread.threads.2.max_retries": "7",
        "thread.threads.3.max_retries": "7",
        "host.sealing.max_retries": "1",
        "pool.sealing.disable_cc": "maybe",
    }

    assert settings.console_set(told) == ""

    assert settings.rules(1).takes == EVERY
    assert [settings.rules(number).attempts_max for number in range(3)] == [2, 2, 8]
    assert origin(settings, "threads.1.allowed_miners") == ("all", "thread")
    assert origin(settings, "threads.3.max_retries") is None, "there is no such thread"
    assert HostSettings(tmp_path, settings.own).rules(2).attempts_max == 8, "a start keeps it"
    assert settings.console_set({}) == ""
    assert settings.rules(2).attempts_max == 1


def test_rules_by_which_nothing_would_begin_are_refused_with_the_thread(tmp_path: Path) -> None:
    settings = threads_host(tmp_path)

    refusal = settings.console_set({"host.sealing.disable_cc": "true"})

    assert refusal.startswith("sealing thread 2 would accept no sectors: set enable_deals to true")
    assert settings.rules().takes == EVERY


def test_slots_follow_a_plan_that_is_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    settings = threads_host(tmp_path)
    assert (settings.slots()["SNAP_ENCODE"], settings.slots()["UNSEAL"]) == (0, 0)

    settings.console_set({"thread.threads.2.plan": "snapup", "thread.threads.1.plan": "wdpost"})

    assert (settings.plan(1), settings.plan(2)) == ("sealer", "snapup")
    assert [settings.slots()[stage] for stage in ("SNAP_ENCODE", "SNAP_PROVE", "UNSEAL")] == [1, 1, 0]
    settings.console_set({"thread.threads.2.plan": "snapup", "host.slots.SNAP_ENCODE": "5"})
    assert settings.slots()["SNAP_ENCODE"] == 5, "what somebody set is obeyed"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "[[processors.pc2]]\nbin = '/opt/pc2'",
            "line 2: processors.pc2.bin is '/opt/pc2', which cannot be started: install it there",
        ),
        ("[[processors.c2]]\nbin = 'prove'", "line 2: processors.c2.bin is 'prove', .*give its full path"),
    ],
)
def test_a_program_that_is_not_there_is_a_mistake_of_its_line(
    monkeypatch: pytest.MonkeyPatch, text: str, words: str
) -> None:
    monkeypatch.setattr("shutil.which", lambda _program: None)

    with pytest.raises(BadFile, match=words):
        read(text)
