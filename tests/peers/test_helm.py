"""The chart for Kubernetes, as Helm itself reads it."""

from __future__ import annotations

import os
import subprocess
from typing import Final

import pytest
import yaml

from tests.peers.programs import BUILD_S, CACHE, SITE

pytestmark = pytest.mark.peer

HELM: Final = "helm.sh/helm/v3/cmd/helm@v3.16.4"
CHART: Final = SITE / "poolsite" / "deploy" / "helm" / "poolsite"


@pytest.fixture(scope="session")
def helm(go: None) -> str:
    """Helm, built from its module."""
    folder = CACHE / "go"
    done = subprocess.run(
        ["go", "install", HELM],
        check=False,
        capture_output=True,
        text=True,
        timeout=BUILD_S,
        env={**os.environ, "GOBIN": str(folder)},
    )
    assert done.returncode == 0, done.stderr
    return str(folder / "helm")


def test_helm_accepts_the_chart(helm: str) -> None:
    linted = subprocess.run([helm, "lint", "--strict", CHART], check=False, capture_output=True, text=True)

    assert linted.returncode == 0, linted.stdout


def test_each_pod_is_a_console_machine_of_its_own(helm: str) -> None:
    made = subprocess.run(
        [helm, "template", "pool", CHART, "--set", "host=pool.example"],
        check=True,
        capture_output=True,
        text=True,
    )
    objects = {entry["kind"]: entry for entry in yaml.safe_load_all(made.stdout)}

    pod = objects["StatefulSet"]["spec"]["template"]["spec"]
    named = {entry["name"]: entry for entry in pod["containers"][0]["env"]}
    assert objects["StatefulSet"]["spec"]["replicas"] == 2
    assert named["POOLSITE_MACHINE"]["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.name"
    assert objects["PersistentVolumeClaim"]["spec"]["accessModes"] == ["ReadWriteMany"]
    assert objects["Ingress"]["spec"]["rules"][0]["host"] == "pool.example"
