"""Who else on the machine may look into a pool's folders."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from poolsite.embedded import places as places_module
from poolsite.embedded.__main__ import PRIVATE_FOLDERS, folders_make
from poolsite.embedded.places import Places
from poolsite.embedded.refusals import CannotStart


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Places:
    monkeypatch.setattr(places_module.Places, "sockets", tmp_path / "sockets")
    (tmp_path / "var").mkdir()
    return Places(tmp_path / "var")


def test_nobody_else_enters_a_folder_of_the_pool_even_one_that_was_open(places):
    (places.var / "devnet").mkdir(mode=0o755)

    folders_make(places)

    for name in PRIVATE_FOLDERS:
        assert stat.S_IMODE((places.var / name).stat().st_mode) == 0o700, name
    assert stat.S_IMODE(places.secret.stat().st_mode) == 0o600


def test_a_session_key_that_a_power_cut_left_empty_is_made_anew_and_another_is_kept(places):
    folders_make(places)
    places.secret.write_text("")

    folders_make(places)
    key = places.secret_key()
    folders_make(places)

    assert len(key) > 40
    assert places.secret_key() == key


def test_a_link_in_the_place_of_the_sockets_is_refused(places, tmp_path):
    """Another user of the machine could make it first, and point it elsewhere later."""
    (tmp_path / "ours").mkdir()
    Path(places.sockets).symlink_to(tmp_path / "ours")

    with pytest.raises(CannotStart, match="belongs to another user"):
        folders_make(places)
