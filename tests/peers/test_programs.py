"""Programs out of their repositories: cloned at a tag and built; where that fails, it is said."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.peers import programs

pytestmark = pytest.mark.peer

MAIN = 'package main\n\nimport "fmt"\n\nfunc main() { fmt.Println("VERSION") }\n'
WHO = ("-c", "user.name=peer", "-c", "user.email=peer@example")


@pytest.fixture
def cache(go: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folders of this test for what is built and cloned."""
    folder = tmp_path / "cache"
    folder.mkdir()
    monkeypatch.setattr(programs, "CACHE", folder)
    monkeypatch.setattr(programs, "CHECKOUTS", folder / "sources")
    return folder


@pytest.fixture
def repository(tmp_path: Path) -> str:
    """A repository whose program says which tag it was built from."""
    source = tmp_path / "greeter"
    source.mkdir()

    def git(*words: str) -> None:
        subprocess.run(["git", *WHO, *words], cwd=source, check=True, capture_output=True)

    git("init", "-q")
    (source / "go.mod").write_text("module example/greeter\n\ngo 1.23\n")
    for version in ("v1.0.0", "v2.0.0"):
        (source / "main.go").write_text(MAIN.replace("VERSION", version))
        git("add", ".")
        git("commit", "-q", "-m", version)
        git("tag", version)
    return source.as_uri()


def test_a_program_is_cloned_at_its_tag_built_and_kept(cache: Path, repository: str) -> None:
    built = programs.go_source(repository, tag="v1.0.0", package=".")

    assert subprocess.check_output([built], text=True) == "v1.0.0\n"
    assert (cache / "sources" / "greeter" / ".git").is_dir()
    Path(repository.removeprefix("file://")).rename(cache / "gone")  # the checkout is enough from now on
    assert programs.go_source(repository, tag="v1.0.0", package=".") == built


@pytest.mark.parametrize(("tag", "suffix"), [("v9.0.0", ""), ("v1.0.0", "-nowhere")])
def test_a_repository_that_cannot_be_had_is_a_failure(
    cache: Path, repository: str, tag: str, suffix: str
) -> None:
    with pytest.raises(AssertionError, match="cannot be cloned"):
        programs.go_source(repository + suffix, tag=tag, package=".")
