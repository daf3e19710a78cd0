"""Who else on the machine may look into a pool's folders."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from poolsite.embedded import paths as paths_module
from poolsite.embedded.errors import StartupError
from poolsite.embedded.folders import PRIVATE_FOLDERS, folders_create, passable_create
from poolsite.embedded.paths import PoolPaths


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PoolPaths:
    monkeypatch.setattr(paths_module.PoolPaths, "sockets", tmp_path / "sockets")
    (tmp_path / "var").mkdir()
    return PoolPaths(tmp_path / "var")


def test_nobody_else_enters_a_folder_of_the_pool_even_one_that_was_open(paths):
    (paths.var / "devnet").mkdir(mode=0o755)

    folders_create(paths)

    for name in PRIVATE_FOLDERS:
        assert stat.S_IMODE((paths.var / name).stat().st_mode) == 0o700, name
    assert stat.S_IMODE(paths.secret.stat().st_mode) == 0o600


def test_server_may_pass_to_its_data_and_sockets_under_any_umask(paths, tmp_path):
    before = os.umask(0o077)
    try:
        passable_create(tmp_path / "srv" / "pool" / "var")
        folders_create(paths)
    finally:
        os.umask(before)

    passed = ("srv", "srv/pool", "srv/pool/var", "sockets")
    assert [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in passed] == [0o711] * 4


def test_empty_session_key_is_remade_and_another_is_kept(paths):
    folders_create(paths)
    paths.secret.write_text("")

    folders_create(paths)
    key = paths.secret_key()
    folders_create(paths)

    assert len(key) > 40
    assert paths.secret_key() == key


def test_a_link_in_the_place_of_the_sockets_is_refused(paths, tmp_path):
    """Another user of the machine could make it first, and point it elsewhere later."""
    (tmp_path / "ours").mkdir()
    Path(paths.sockets).symlink_to(tmp_path / "ours")

    with pytest.raises(StartupError, match="belongs to another user"):
        folders_create(paths)
