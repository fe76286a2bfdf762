"""The container files: what the linters of their formats can't know.

They are not run here; this reads them. `yaml` merges the shared blocks as the compose client does.
"""

from __future__ import annotations

import re
import tomllib
from typing import Any

import pytest
import yaml

from api.settings import Settings, _secret_fields
from saga.secret_files import FILE
from tests.architecture.source import ROOT

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")

each_service = pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)


@each_service
def test_a_service_can_change_nothing_but_its_data(service: dict[str, Any]) -> None:
    """The root is read-only, no capability is left, and none can be gained."""
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    assert service.get("user", "") not in {"root", "0"}


@each_service
def test_a_service_comes_back_and_goes_in_good_order(service: dict[str, Any]) -> None:
    """It is started again after a failure and has time to finish what is in hand."""
    assert service["restart"] == "unless-stopped"
    assert int(service["stop_grace_period"].removesuffix("s")) >= 10


@each_service
def test_an_image_is_pinned_to_a_version(service: dict[str, Any]) -> None:
    """The same file starts the same programs tomorrow."""
    assert re.fullmatch(r"[a-z/]+:v?\d+\.\d+\.\d+", service["image"])


def test_only_the_api_and_grafana_are_published_and_only_on_loopback() -> None:
    """The broker, the store, the coordinators and Prometheus can't be reached from outside of their network."""
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {
        "api": ["127.0.0.1:${BATUTA_PORT:-8003}:8003"],
        "grafana": ["127.0.0.1:${GRAFANA_PORT:-3000}:3000"],
    }
    open_networks = {name for name, network in COMPOSE["networks"].items() if not network.get("internal")}
    assert {name for name, service in SERVICES.items() if open_networks & set(service["networks"])} == set(
        published
    )


def test_no_password_has_a_default() -> None:
    """Each variable but a port is required, says so in a sentence, and stands empty in the example."""
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    variables = re.findall(r"\$\{(\w+)([^}]*)\}", text)
    secrets = [(name, rest) for name, rest in variables if not name.endswith("_PORT")]
    assert {name for name, _ in secrets} == set(re.findall(r"^(\w+)=$", example, re.MULTILINE))
    assert all(re.fullmatch(r":\?\w[\w ./]+", rest) for _, rest in secrets)
    assert {name for name, _ in variables} == set(re.findall(r"^(?:# )?(\w+)=", example, re.MULTILINE))


def test_what_a_service_refers_to_is_there() -> None:
    """Networks, volumes, mounted files and the services that it waits for exist."""
    for service in SERVICES.values():
        assert set(service["networks"]) <= set(COMPOSE["networks"])
        assert set(service.get("depends_on", {})) <= set(SERVICES)
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            assert (ROOT / source).exists() if source.startswith(".") else source in COMPOSE["volumes"]


def test_a_service_that_others_wait_for_has_a_health_check() -> None:
    """Without one the others would wait for ever; our own image brings its check along."""
    awaited = {name for service in SERVICES.values() for name in service.get("depends_on", {})}
    assert awaited
    assert all("healthcheck" in SERVICES[name] for name in awaited)


def test_the_image_does_not_run_as_root() -> None:
    """The last user is a number, so that a cluster can see that it isn't root."""
    assert re.findall(r"^USER (.*)$", DOCKERFILE, re.MULTILINE) == ["10001:10001"]


def test_the_image_is_built_on_one_exact_python() -> None:
    """Both stages name the same version to the last digit: the environment of one runs in the other."""
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert len(bases) == 2
    assert len(set(bases)) == 1
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+", bases[0])


def test_the_image_has_the_version_of_the_package() -> None:
    """The label, the compose file and what is installed say the same."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert re.findall(r"^ARG VERSION=(.*)$", DOCKERFILE, re.MULTILINE) == [version]
    assert {service["image"] for service in SERVICES.values() if "build" in service} == {f"batuta:{version}"}


def test_the_secrets_by_files_are_for_every_role_and_take_the_place_of_all_others() -> None:
    """A role left out would show its secrets; a variable that was left would be refused beside its file."""
    by_files = yaml.safe_load((ROOT / "deploy/secrets.yml").read_text(encoding="utf-8"))
    roles = {name for name, service in SERVICES.items() if "build" in service}
    assert set(by_files["services"]) == roles
    for role in roles:
        service = by_files["services"][role]
        given = service["environment"]
        files = {
            variable.removesuffix(FILE): path for variable, path in given.items() if variable.endswith(FILE)
        }
        assert set(files) == {variable for variable, value in given.items() if value == ""}
        assert set(files) == set(_secret_fields(Settings)) & set(SERVICES[role]["environment"])
        assert {path.rpartition("/")[2] for path in files.values()} == set(service["secrets"])
        assert set(service["secrets"]) == set(by_files["secrets"])


def test_what_the_image_runs_is_no_shell() -> None:
    """Commands are lists, so that signals reach the program itself."""
    commands = re.findall(r"^(?:ENTRYPOINT|CMD|\s+CMD) (.)", DOCKERFILE, re.MULTILINE)
    assert commands == ["[", "[", "["]
