"""The files in `poolsite/deploy` run what `make up` runs, with settings that exist and with few rights."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest
import yaml

from poolsite.embedded import migration
from poolsite.embedded.console_processes import celery
from poolsite.embedded.options import Options
from poolsite.embedded.paths import SITE, PoolPaths
from poolsite.embedded.pool import TASK_QUEUES, pool_table
from poolsite.settings.variables import VARIABLES

DEPLOY: Final = SITE / "poolsite" / "deploy"
UNITS: Final = DEPLOY / "systemd"
CONSOLE_UNITS: Final = "systemd/poolsite-console-.service.d/20-console.conf"
CONSOLE: Final = ("web@", "tasks", "tasks-slow", "follower", "blocks", "deals")
EXPOSURE: Final = 3.0
"""What `systemd-analyze security` may give a unit at most, of 10."""
OTHERS: Final = {"DOMAIN", "CONSOLES", "CONSOLE", "STORE", "ARGUMENTS", "TOKEN_FILE"}
"""Variables of these files' own, not of the console."""


def settings_known() -> set[str]:
    """Return the variables that docs/settings.md describes."""
    return {name for group in VARIABLES.values() for name in group}


def options(monkeypatch: pytest.MonkeyPatch) -> Options:
    """Return what a console with servers of its own is started with."""
    for name in ("DATABASE_URL", "REDIS_URL", "CHAIN_URLS"):
        monkeypatch.setenv(name, "redis://localhost" if name == "REDIS_URL" else "postgresql://localhost/x")
    return Options.of_environment()


@pytest.mark.parametrize("process", CONSOLE)
def test_a_unit_runs_what_make_up_runs(process: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    table = pool_table(PoolPaths(tmp_path), options(monkeypatch), cluster=None, web_fds=(3,))
    (child,) = (child for child in table if child.name == process.replace("@", "-1"))
    text = (UNITS / f"poolsite-console-{process}.service").read_text()
    start = re.search(r"^ExecStart=(.+)$", text, re.MULTILINE)

    assert start is not None
    words = shlex.split(start[1])
    assert words[0].endswith("/python")
    assert words[1:] == [word.removeprefix(f"{SITE}/") for word in child.command()[1:]]
    for name in ("DATABASE_CONN_MAX_AGE", "CELERY_SKIP_CHECKS"):
        assert (f"{name}={child.env.get(name)}" in text) == (name in child.env)


def test_the_target_starts_every_process_of_the_console(monkeypatch: pytest.MonkeyPatch) -> None:
    target = (UNITS / "poolsite-console.target").read_text()
    shared = (UNITS / "poolsite-console-.service.d" / "20-console.conf").read_text()
    named = set(re.findall(r"poolsite-console-([\w@-]+)\.service", target))
    ready = re.search(r"READY_PROCESSES=(\S+)", shared)

    assert named == {"web@1", "web@2", *TASK_QUEUES, "follower", "blocks", "deals"}
    assert ready is not None
    assert set(ready[1].split(",")) == {name.replace("@", "-") for name in named}
    assert "-Q" in celery("head", options(monkeypatch))


@pytest.mark.parametrize("unit", sorted(path.stem for path in UNITS.glob("*.service")))
def test_a_unit_has_few_rights(unit: str, tmp_path: Path) -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("there is no systemd-analyze here, which rates units")
    shutil.copytree(UNITS, tmp_path / "etc" / "systemd" / "system")
    name = f"{unit}1" if unit.endswith("@") else unit

    rated = subprocess.run(
        [program, "security", "--offline=true", f"--root={tmp_path}", "--no-pager", f"{name}.service"],
        check=False,
        capture_output=True,
        text=True,
    )

    level = re.search(r"exposure level for \S+: ([\d.]+)", rated.stdout)
    if level is None and "--offline" in rated.stderr:
        pytest.skip("this systemd-analyze rates no files")
    assert level is not None, rated.stderr
    assert float(level[1]) < EXPOSURE


def test_compose_names_settings_that_exist() -> None:
    text = (DEPLOY / "compose.yaml").read_text()
    services = yaml.safe_load(text)["services"]
    consoles = [service for name, service in services.items() if name.startswith("console-")]
    names = {name for service in consoles for name in service["environment"]}

    assert len(consoles) == 2
    assert len({service["environment"]["POOLSITE_MACHINE"] for service in consoles}) == 2
    assert names <= settings_known()
    assert {"SECRET_KEY", "DATABASE_URL", "REDIS_URL", "CHAIN_URLS"} <= names
    assert all(
        ":latest" not in service["image"] for name, service in services.items() if "build" not in service
    )


@pytest.mark.parametrize(
    "file",
    ["systemd/poolsite-console-migrate.service", "compose.yaml", "helm/poolsite/templates/migration.yaml"],
)
def test_each_way_to_deploy_can_migrate_beside_consoles_at_work(file: str) -> None:
    words = re.sub(r"[\[\],]", " ", (DEPLOY / file).read_text()).split()
    module = Path(migration.__file__).relative_to(SITE).with_suffix("")

    at = words.index(".".join(module.parts))
    assert words[at - 1] == "-m"
    assert words[at - 2].endswith(".venv/bin/python")


def test_no_image_and_no_commit_has_secrets_of_the_checkout() -> None:
    """Docker reads a list of this name alone; buildah and podman do, too."""
    left_out = (DEPLOY / "Containerfile.dockerignore").read_text().split()
    uncommitted = (SITE / ".gitignore").read_text().split()

    assert {"var", ".git", ".venv", "**/.env"} <= set(left_out)
    assert {"var/", ".env"} <= set(uncommitted)
    assert "COPY . ." in (DEPLOY / "Containerfile").read_text()


@pytest.mark.parametrize(
    ("file", "kept"),
    [
        ("helm/poolsite/templates/consoles.yaml", r"name: state, mountPath: (\S+)}"),
        ("Containerfile", r"VOLUME \[\"([^\"]+)"),
        ("compose.yaml", r"console-1:(/[^,]+)"),
        ("systemd/poolsite-.service.d/10-hardening.conf", r"StateDirectory=(\S+)"),
    ],
)
def test_state_is_a_folder_in_the_one_that_is_kept(file: str, kept: str) -> None:
    """The root of a volume may belong to another account; and beside `var` stands the database's marker."""
    own = {"compose.yaml": "Containerfile", "systemd/poolsite-.service.d/10-hardening.conf": CONSOLE_UNITS}
    var = re.search(r"POOLSITE_VAR(?:=|, value: )([\w/]+)", (DEPLOY / own.get(file, file)).read_text())
    folder = re.search(kept, (DEPLOY / file).read_text())

    assert var is not None
    assert folder is not None
    assert Path("/var/lib") / folder[1] in Path(var[1]).parents


@pytest.mark.parametrize(
    "file", ["Containerfile", "systemd/console.env.example", "helm/poolsite/templates/consoles.yaml"]
)
def test_other_files_name_settings_that_exist(file: str) -> None:
    text = (DEPLOY / file).read_text()
    named = {
        *re.findall(r"^([A-Z][A-Z_0-9]+)=", text, re.MULTILINE),
        *re.findall(r"(?:ENV|^ +)\s*([A-Z][A-Z_0-9]+)=", text, re.MULTILINE),
        *re.findall(r"name: ([A-Z][A-Z_0-9]+)", text),
    }

    assert named
    assert named - {"DEBIAN_FRONTEND"} <= settings_known()
