"""The manifests for Kubernetes: what the validator of their schema can't know."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from api.settings import Settings
from saga.definition.sources import load_definitions
from saga.secret_files import FILE
from tests.architecture.source import ROOT

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = ROOT / "deploy" / "kubernetes"
OBJECTS: list[dict[str, Any]] = [
    document
    for file in sorted(FOLDER.glob("*.yaml"))
    for document in yaml.safe_load_all(file.read_text(encoding="utf-8"))
]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
NAMESPACE = "batuta"


def _of_kind(kind: str) -> dict[str, dict[str, Any]]:
    return {one["metadata"]["name"]: one for one in OBJECTS if one["kind"] == kind}


DEPLOYMENTS = _of_kind("Deployment")
each_deployment = pytest.mark.parametrize("deployment", DEPLOYMENTS.values(), ids=DEPLOYMENTS)


def _container(deployment: dict[str, Any]) -> dict[str, Any]:
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return dict(container)


def test_there_are_two_of_each_role() -> None:
    """One may be upgraded or drained while the other works; each role of the compose file is there."""
    assert set(DEPLOYMENTS) == {"api", "coordinator"}
    assert all(deployment["spec"]["replicas"] == 2 for deployment in DEPLOYMENTS.values())
    for name, deployment in DEPLOYMENTS.items():
        assert _container(deployment)["args"] == ["serve", "--roles", name]


@each_deployment
def test_a_pod_can_change_nothing(deployment: dict[str, Any]) -> None:
    """It runs as the image's user, on a read-only root, without a capability or an account of the cluster."""
    pod = deployment["spec"]["template"]["spec"]
    container = _container(deployment)["securityContext"]
    assert (pod["securityContext"]["runAsNonRoot"], pod["securityContext"]["runAsUser"]) == (True, 10001)
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert (container["readOnlyRootFilesystem"], container["allowPrivilegeEscalation"]) == (True, False)
    assert container["capabilities"] == {"drop": ["ALL"]}


@each_deployment
def test_secrets_come_by_files_of_one_secret(deployment: dict[str, Any]) -> None:
    """No manifest holds a secret, no variable shows one, and each file is for a setting that there is."""
    container = _container(deployment)
    known = {f"SAGA_{name.upper()}" for name in Settings.model_fields}
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    by_file = [one for one in container["env"] if one["name"].endswith(FILE)]
    assert {one["name"].removesuffix(FILE) for one in container["env"]} <= known
    assert {one["name"] for one in by_file} == {
        f"SAGA_{name}_FILE" for name in ("AMQP_URL", "MONGODB_URL", "API_TOKENS")
    }
    assert all(one["value"].startswith(mounts["secrets"] + "/") for one in by_file)
    assert not _of_kind("Secret")


@each_deployment
def test_a_pod_is_restarted_only_when_it_does_not_live(deployment: dict[str, Any]) -> None:
    """Ready depends on store and broker, and alive must not: all would be restarted when the broker is away."""
    container = _container(deployment)
    (port,) = container["ports"]
    assert port == {"name": "http", "containerPort": Settings.model_fields["http_port"].default}
    paths = {
        name: container[name]["httpGet"]["path"]
        for name in ("startupProbe", "livenessProbe", "readinessProbe")
    }
    assert paths == {"startupProbe": "/healthz", "livenessProbe": "/healthz", "readinessProbe": "/readyz"}
    assert container["resources"]["limits"]["memory"]


@each_deployment
def test_a_pod_has_time_to_finish_what_is_in_hand(deployment: dict[str, Any]) -> None:
    """The grace of the cluster is longer than ours, and a pause before it counts against it."""
    grace: int = deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    pause: int = (
        _container(deployment).get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    )
    assert grace > pause + Settings.model_fields["shutdown_grace"].default + 5


def test_selectors_select_what_they_are_for() -> None:
    """Deployments, budgets, services and policies select by labels that a role's pods have, all of them."""
    pods = {name: one["spec"]["template"]["metadata"]["labels"] for name, one in DEPLOYMENTS.items()}
    for name, deployment in DEPLOYMENTS.items():
        assert deployment["spec"]["selector"]["matchLabels"] == pods[name]
    budgets = _of_kind("PodDisruptionBudget")
    assert {name: one["spec"]["selector"]["matchLabels"] for name, one in budgets.items()} == pods
    assert all(one["spec"]["minAvailable"] < 2 for one in budgets.values())
    policies = _of_kind("NetworkPolicy")
    assert {name: one["spec"]["podSelector"]["matchLabels"] for name, one in policies.items()} == pods
    assert _of_kind("Service")["api"]["spec"]["selector"] == pods["api"]


def test_every_object_is_in_our_namespace() -> None:
    """An object that names none would go wherever the operator just is."""
    for one in OBJECTS:
        assert one["metadata"].get("namespace", one["metadata"]["name"]) == NAMESPACE


@each_deployment
def test_the_image_is_that_of_the_compose_file(deployment: dict[str, Any]) -> None:
    """A version is raised in both."""
    assert _container(deployment)["image"] == COMPOSE["services"]["api"]["image"]
    assert re.fullmatch(r"batuta:\d+\.\d+\.\d+", _container(deployment)["image"])


def test_the_definitions_of_the_example_can_be_loaded(tmp_path: Path) -> None:
    """A first `kubectl apply` starts servers that work."""
    for name, text in _of_kind("ConfigMap")["definitions"]["data"].items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert load_definitions(str(tmp_path))
