"""The settings: what is refused at start, and that no secret is ever shown."""

from __future__ import annotations

import base64
import hashlib
import os
from typing import TYPE_CHECKING

import pytest

from api.settings import (
    Settings,
    SettingsError,
    check_service_urls,
    load_settings,
    load_store_settings,
)

if TYPE_CHECKING:
    from pathlib import Path

DIGEST = hashlib.sha256(b"canary").hexdigest()


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("SAGA_") or "_SERVICE_URL" in name or name == "LOG_LEVEL":
            monkeypatch.delenv(name)


def _problems(monkeypatch: pytest.MonkeyPatch, **environment: str) -> str:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as refused:
        load_settings()
    return str(refused.value)


def test_without_settings_the_embedded_default_listens_on_loopback() -> None:
    """No setting at all is a complete setup."""
    settings = load_settings()
    assert settings.is_embedded
    assert (settings.http_host, settings.http_port) == ("127.0.0.1", 8003)
    assert (settings.prefetch, settings.shutdown_grace, settings.amqp_prefix) == (200, 8, "saga")


def test_all_settings_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each name of the table has its effect."""
    values = {
        "SAGA_AMQP_URL": "amqp://a",
        "SAGA_MONGODB_URL": "mongodb://m",
        "SAGA_DEFINITIONS": "one.yaml, two ,",
        "SAGA_HTTP_HOST": "0.0.0.0",  # noqa: S104 - it is what tokens are for
        "SAGA_API_TOKENS": f"ops:read+operate:{DIGEST}",
        "SAGA_STEP_EVENTS": "on",
        "LOG_LEVEL": "debug",
        "FRAUD_CHECK_SERVICE_URL": "http://x",
        "SAGA_URL": "http://elsewhere",
        "SAGA_TOKEN": "t",
        "SAGA_TEST_ANYTHING": "1",
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    assert settings.definitions == ("one.yaml", "two")
    assert settings.api_tokens[0].scopes == {"read", "operate"}
    assert settings.api_tokens[0].is_token("canary")
    assert not settings.api_tokens[0].is_token("other")
    assert (settings.step_events, settings.log_level) == (True, "DEBUG")
    assert set(settings.service_urls) == {"fraud_check"}


@pytest.mark.parametrize(
    ("name", "meant"), [("SAGA_AMPQ_URL", "SAGA_AMQP_URL"), ("SAGA_HTTP_PROT", "SAGA_HTTP_PORT")]
)
def test_a_misspelt_setting_is_refused_with_a_suggestion(
    monkeypatch: pytest.MonkeyPatch, name: str, meant: str
) -> None:
    """A setting that nobody reads would be a default that nobody wanted."""
    assert f"there is no setting {name}: did you mean {meant}?" in _problems(monkeypatch, **{name: "1"})


def test_a_broker_without_a_store_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """RabbitMQ and MongoDB are used together."""
    assert "SAGA_MONGODB_URL is missing" in _problems(monkeypatch, SAGA_AMQP_URL="amqp://x")
    monkeypatch.delenv("SAGA_AMQP_URL")
    assert "SAGA_AMQP_URL is missing" in _problems(monkeypatch, SAGA_MONGODB_URL="mongodb://x")


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.2", "::", "example.org"])  # noqa: S104 - refused
def test_listening_to_the_world_needs_tokens(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    """Beyond loopback nobody is let in without a token, unless that is what was asked for."""
    assert "SAGA_API_TOKENS" in _problems(monkeypatch, SAGA_HTTP_HOST=host)
    monkeypatch.setenv("SAGA_ALLOW_UNPROTECTED", "on")
    assert load_settings().http_host == host


@pytest.mark.parametrize("token", ["ops", "ops:read:abc", f"ops:root:{DIGEST}", f":read:{DIGEST}"])
def test_a_token_that_can_not_be_read_is_refused(monkeypatch: pytest.MonkeyPatch, token: str) -> None:
    """A token is name:scope+scope:sha256; the sentence says so and names the setting."""
    assert "SAGA_API_TOKENS" in _problems(monkeypatch, SAGA_API_TOKENS=token)


def test_no_secret_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the settings nor a complaint about them repeat an address with its password, or a token."""
    monkeypatch.setenv("SAGA_AMQP_URL", "amqp://user:canary@host")
    monkeypatch.setenv("SAGA_MONGODB_URL", "mongodb://user:canary@host")
    monkeypatch.setenv("SAGA_API_TOKENS", f"ops:read:{DIGEST}")
    shown = repr(load_settings())
    assert "canary" not in shown
    assert DIGEST not in shown
    assert "canary" not in _problems(monkeypatch, SAGA_HTTP_PORT="canary")


def test_addresses_of_services_are_checked_at_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """The complaint names each variable of a service that a definition names, and repeats nothing of it."""
    monkeypatch.setenv("INGESTION_SERVICE_URL", "ftp://user:canary@x")
    monkeypatch.setenv("ANALYSIS_SERVICE_URL", "http://x, ,http://canary")
    monkeypatch.setenv("OTHER_SERVICE_URL", "tcp://10.0.0.1:80")
    settings = load_settings()
    with pytest.raises(SettingsError) as caught:
        check_service_urls(settings, {"ingestion", "analysis", "indexing"})
    assert len(caught.value.problems) == 2
    assert "ANALYSIS_SERVICE_URL is empty, or has an empty address" in str(caught.value)
    assert "INGESTION_SERVICE_URL must begin with http:// or https://" in str(caught.value)
    assert "canary" not in str(caught.value)


def test_settings_can_be_made_by_hand() -> None:
    """Tests and embedders need no environment."""
    assert Settings(http_port=0, log_level="ERROR").http_port == 0


SECRET = "whsec_" + base64.b64encode(b"canary" * 5).decode()


def test_the_secret_of_webhooks_comes_from_the_environment_or_a_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Two of them, separated by a comma, are both signed with; neither is ever shown."""
    monkeypatch.setenv("SAGA_WEBHOOK_HOSTS", "Hooks.example.com, *.shop.example")
    monkeypatch.setenv("SAGA_WEBHOOK_SECRET", f"{SECRET}, {SECRET}")
    settings = load_settings()
    assert settings.webhook_hosts == ("hooks.example.com", "*.shop.example")
    assert settings.webhook_keys == (b"canary" * 5,) * 2
    file = tmp_path / "secret"
    file.write_text(f"{SECRET}\n")
    monkeypatch.delenv("SAGA_WEBHOOK_SECRET")
    monkeypatch.setenv("SAGA_WEBHOOK_SECRET_FILE", str(file))
    settings = load_settings()
    assert settings.webhook_keys == (b"canary" * 5,)
    assert SECRET not in repr(settings)


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"SAGA_WEBHOOK_HOSTS": "a.example"}, "SAGA_WEBHOOK_SECRET is missing"),
        ({"SAGA_WEBHOOK_SECRET": SECRET}, "SAGA_WEBHOOK_HOSTS is missing"),
        ({"SAGA_WEBHOOK_SECRET_FILE": "/nowhere"}, "SAGA_WEBHOOK_SECRET_FILE: /nowhere can't be read"),
        ({"SAGA_WEBHOOK_SECRET_FILE": os.devnull}, "is empty"),
        ({"SAGA_WEBHOOK_SECRET": SECRET, "SAGA_WEBHOOK_SECRET_FILE": "/x"}, "set one of them"),
        ({"SAGA_WEBHOOK_SECRET": "canary", "SAGA_WEBHOOK_HOSTS": "a.example"}, "openssl rand"),
        (
            {"SAGA_WEBHOOK_SECRET": SECRET, "SAGA_WEBHOOK_HOSTS": "https://canary/"},
            "SAGA_WEBHOOK_HOSTS: each",
        ),
        ({"SAGA_WEBHOOK_ALLOW_PRIVATE": "canary"}, "SAGA_WEBHOOK_ALLOW_PRIVATE"),
    ],
)
def test_settings_of_webhooks_that_are_wrong_say_what_to_do(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], said: str
) -> None:
    """Each names its variable, none its value."""
    problems = _problems(monkeypatch, **environment)
    assert said in problems
    assert "canary" not in problems
    assert SECRET not in problems


def test_secrets_may_come_by_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Both addresses, the tokens and the addresses of services; each is the same as by the environment."""
    values = {
        "SAGA_AMQP_URL": "amqp://a",
        "SAGA_MONGODB_URL": "mongodb://m",
        "SAGA_API_TOKENS": f"ops:read:{DIGEST}",
        "FRAUD_CHECK_SERVICE_URL": "http://x",
    }
    for name, value in values.items():
        (tmp_path / name).write_text(f"{value}\n", encoding="utf-8")
        monkeypatch.setenv(f"{name}_FILE", str(tmp_path / name))
    by_file = load_settings()
    assert load_store_settings().amqp_url == by_file.amqp_url
    for name, value in values.items():
        monkeypatch.delenv(f"{name}_FILE")
        monkeypatch.setenv(name, value)
    assert load_settings() == by_file
    assert by_file.amqp_url is not None
    assert by_file.amqp_url.get_secret_value() == "amqp://a"
    assert set(by_file.service_urls) == {"fraud_check"}


def test_every_unusable_secret_is_told_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each problem names its variable; that the address is missing as well would be no news."""
    told = _problems(
        monkeypatch,
        SAGA_AMQP_URL_FILE=str(tmp_path / "missing"),
        SAGA_MONGODB_URL="mongodb://m",
        SAGA_MONGODB_URL_FILE="/also",
        HOTEL_SERVICE_URL_FILE=str(tmp_path),
        SAGA_HTTP_PROT="1",
    )
    assert [line.partition(" ")[0] for line in told.splitlines()] == [
        "there",
        "HOTEL_SERVICE_URL_FILE:",
        "SAGA_AMQP_URL_FILE:",
        "SAGA_MONGODB_URL",
    ]
    with pytest.raises(SettingsError, match="SAGA_AMQP_URL_FILE"):
        load_store_settings()


def test_only_secrets_come_by_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file for anything else is a misspelt setting, not one that nobody reads."""
    assert "there is no setting SAGA_HTTP_PORT_FILE" in _problems(monkeypatch, SAGA_HTTP_PORT_FILE="/port")
