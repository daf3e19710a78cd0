from __future__ import annotations

import io
import json
from threading import Barrier
from types import SimpleNamespace

from poolsite.wire.hardware import ProofsTrial, ProofTrial, TreesTrial
from workers.console.host_report import HostReport
from workers.processors import card_trees, child
from workers.processors.card_trees import TreeMaker
from workers.processors.child import Child
from workers.processors.compile_progress import (
    COMPILE_PROGRESS_VARIABLE,
    NOT_STARTED,
    TRIALS_VARIABLE,
    CompileProgress,
    HostCompileProgress,
    progress_write,
)
from workers.processors.layer_drives import LAYERS_VARIABLE
from workers.processors.stages import STAGES
from workers.snark import card
from workers.snark.card import CardWork, Trial
from workers.stage_processors import HostProcessors, StageProcessor


def test_host_claims_nothing_until_its_child_has_compiled(tmp_path):
    path = tmp_path / "compile_progress.json"
    path.write_text('{"done": 3, "total": 3}')

    host = HostCompileProgress(path, ["pc1", "pc2"])

    assert host.read() == NOT_STARTED, "what an earlier start said does not count"
    assert host.uncompiled_stages() == {"PC1", "PC2"}
    progress_write(path, CompileProgress(2, 3))
    assert host.uncompiled_stages() == {"PC1", "PC2"}
    progress_write(path, CompileProgress(3, 3))
    assert host.uncompiled_stages() == frozenset()


def test_a_host_that_computes_nothing_itself_is_never_cold(tmp_path):
    assert HostCompileProgress(tmp_path / "compile_progress.json", []).uncompiled_stages() == frozenset()


def test_kernels_stay_compiled_when_the_folder_of_their_host_goes(tmp_path):
    folder = tmp_path / "prover"
    folder.mkdir()
    host = HostCompileProgress(folder / "compile_progress.json", ["window_post"])
    progress_write(host.path, CompileProgress(3, 3))
    assert host.uncompiled_stages() == frozenset()

    folder.rename(tmp_path / "away")

    assert host.uncompiled_stages() == frozenset()


def test_a_child_writes_nothing_into_a_folder_that_took_its_hosts_place(tmp_path):
    folder = tmp_path / "sealer"
    folder.mkdir()
    host = HostCompileProgress(folder / "compile_progress.json", ["pc1"])
    folder.rename(tmp_path / "disk")
    folder.mkdir()

    progress_write(host.path, CompileProgress(3, 3))

    assert list(folder.iterdir()) == []


def test_what_a_child_found_of_a_card_reaches_its_host(tmp_path, monkeypatch):
    host = HostCompileProgress(tmp_path / "compile_progress.json", ["pc2"])
    own = HostProcessors(children=(StageProcessor(stage="pc2"),))
    (pc2, _) = own.specs(["pc1", "pc2"], compiling=host.path, snark="auto")
    monkeypatch.setenv(TRIALS_VARIABLE, pc2.environment[TRIALS_VARIABLE])
    work = CardWork("RTX 9")
    monkeypatch.setattr(card, "card_work", lambda: work)
    maker = TreeMaker(None, TreesTrial(gpu="RTX 9", is_gpu=True, gpu_ms=100, cpu_ms=900))
    monkeypatch.setattr(card_trees, "tree_maker", lambda: maker)
    one = Child([STAGES["pc2"]], io.StringIO())
    report = HostReport(tmp_path)
    assert host.trials() == (None, None)

    one.card_report()
    report.kernels_report(done=3, total=3, trials=host.trials())
    assert (report.hardware().trees, report.hardware().groth16) == (maker.trial, None)
    maker.trial = TreesTrial(gpu="RTX 9", error="lost")
    work.trials["h"] = Trial(True, 0.1, 2.0)
    one.card_report()
    report.kernels_report(done=3, total=3, trials=host.trials())

    assert report.hardware().trees == maker.trial
    kinds = (ProofTrial(kind="h", is_gpu=True, gpu_ms=100, cpu_ms=2000),)
    assert report.hardware().groth16 == ProofsTrial(gpu="RTX 9", kinds=kinds)
    assert report.has_news
    assert HostCompileProgress(host.path, ["pc2"]).trials() == (None, None), (
        "what an earlier start said does not count"
    )


def test_only_a_child_that_makes_trees_tries_a_card(tmp_path, monkeypatch):
    trees = tmp_path / "trees.json"
    trees.touch()
    monkeypatch.setenv(TRIALS_VARIABLE, str(tmp_path))
    maker = TreeMaker(None, TreesTrial(gpu="RTX 9"))
    monkeypatch.setattr(card_trees, "tree_maker", lambda: maker)

    for stage in ("tree_d", "pc1"):
        Child([STAGES[stage]], io.StringIO()).card_report()
    assert trees.read_bytes() == b""
    monkeypatch.setenv(LAYERS_VARIABLE, "{}")
    Child([STAGES["pc1"]], io.StringIO()).card_report()

    assert b"RTX 9" in trees.read_bytes(), "trees of a batch on drives are made in the stage of its labels"


def test_half_a_file_is_cold(tmp_path):
    host = HostCompileProgress(tmp_path / "compile_progress.json", ["pc1"])
    host.path.write_text('{"done":')

    assert host.read() == NOT_STARTED


def test_a_child_says_how_far_it_is_before_it_greets(tmp_path, monkeypatch):
    told = []

    class Out(io.StringIO):
        def write(self, line):
            told.append(line.strip())
            return len(line)

    monkeypatch.setenv(COMPILE_PROGRESS_VARIABLE, str(tmp_path / "compile_progress.json"))
    monkeypatch.setattr(child, "progress_write", lambda _, progress: told.append(progress))

    both = Child([STAGES["tree_d"], STAGES["add_piece"]], Out())
    both.precompile()
    both.greet()

    assert told == [
        CompileProgress(0, 2),
        CompileProgress(1, 2),
        CompileProgress(2, 2),
        "tree_d+add_piece processor ready",
    ]


def test_requests_side_by_side_share_the_lines_of_progress(monkeypatch):
    requests, second, lines = 40, [0], []
    begun, told = Barrier(requests), Barrier(requests + 1)

    def run(task, *, progress):
        begun.wait(60)
        while task == 0 and second[0] < 10:
            second[0] += 1
            progress(second[0], 10)
        told.wait(60)

    class Out(io.StringIO):
        def write(self, line):
            lines.append(json.loads(line))
            return len(line)

    monkeypatch.setattr(child, "time", SimpleNamespace(monotonic=lambda: second[0]))
    monkeypatch.setattr(child, "task_decode", lambda _stage, task: task)
    one = Child([STAGES["pc1"]], Out())
    one._runs["pc1"] = run
    asked = (json.dumps({"id": number, "task": number}) for number in range(requests))
    one.serve(io.StringIO("\n".join(asked)))
    told.wait(60)

    assert [line["progress"]["done"] for line in lines if "progress" in line] == [2, 4, 6, 8, 10]
