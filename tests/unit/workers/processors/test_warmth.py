from __future__ import annotations

import io

from workers.processors import child
from workers.processors.child import Child
from workers.processors.stages import STAGES
from workers.processors.warmth import COLD, WARMTH_VARIABLE, HostWarmth, Warmth, warmth_write


def test_a_host_is_cold_until_its_child_has_said_that_it_is_warm(tmp_path):
    path = tmp_path / "warmth.json"
    warmth_write(path, Warmth(3, 3))

    host = HostWarmth(path, ["pc1", "pc2"])

    assert host.read() == COLD, "what an earlier start said does not count"
    assert host.cold_stages() == {"PC1", "PC2"}
    warmth_write(path, Warmth(2, 3))
    assert host.cold_stages() == {"PC1", "PC2"}
    warmth_write(path, Warmth(3, 3))
    assert host.cold_stages() == frozenset()


def test_a_host_that_computes_nothing_itself_is_never_cold(tmp_path):
    assert HostWarmth(tmp_path / "warmth.json", []).cold_stages() == frozenset()


def test_half_a_file_is_cold(tmp_path):
    host = HostWarmth(tmp_path / "warmth.json", ["pc1"])
    host.path.write_text('{"done":')

    assert host.read() == COLD


def test_a_child_says_how_far_it_is_before_it_greets(tmp_path, monkeypatch):
    told = []

    class Out(io.StringIO):
        def write(self, line):
            told.append(line.strip())
            return len(line)

    monkeypatch.setenv(WARMTH_VARIABLE, str(tmp_path / "warmth.json"))
    monkeypatch.setattr(child, "warmth_write", lambda _, warmth: told.append(warmth))

    Child([STAGES["tree_d"], STAGES["add_piece"]], Out()).greet()

    assert told == [Warmth(0, 2), Warmth(1, 2), Warmth(2, 2), "tree_d+add_piece processor ready"]
