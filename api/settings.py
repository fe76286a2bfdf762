"""The settings of a server, all from the environment; docs/reference/settings.md lists them."""

import difflib
import hashlib
import hmac
import ipaddress
import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from saga.calling.address import Address, InvalidAddress, read_addresses
from saga.secret_files import FILE, UnusableSecret, secret
from saga.webhooks.policy import parse_hosts
from saga.webhooks.signature import parse_secret

PREFIX = "SAGA_"
# They belong to the command line and to the tests; a server lets them pass.
_OF_OTHERS = frozenset({"SAGA_URL", "SAGA_TOKEN"})
_OF_TESTS = "SAGA_TEST_"
_SERVICE_URL = re.compile(r"(?P<service>[A-Z][A-Z0-9_]{0,39})_SERVICE_URL")
_SHA256_DIGITS = 64

Scope = Literal["read", "operate", "admin"]
SCOPES: tuple[Scope, ...] = ("read", "operate", "admin")


class SettingsError(Exception):
    """Say what is wrong with the settings; each problem names the variable, never its value."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class ApiToken:
    """A bearer token that is let in: known by its hash only."""

    name: str
    scopes: frozenset[str]
    digest: bytes = field(repr=False)

    def is_token(self, token: str) -> bool:
        """Compare in constant time."""
        return hmac.compare_digest(hashlib.sha256(token.encode()).digest(), self.digest)


class StoreSettings(BaseSettings):
    """Hold what says where the store is: enough for the commands that work on it without a server."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        frozen=True,
        hide_input_in_errors=True,
        populate_by_name=True,
        env_ignore_empty=True,
    )

    amqp_url: SecretStr | None = None
    mongodb_url: SecretStr | None = None
    mongodb_database: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,60}$")] = "saga"
    data: Path = Path(".saga")

    @model_validator(mode="after")
    def _check_store(self) -> Self:
        if self.amqp_url is not None and self.mongodb_url is None:
            raise ValueError(
                "SAGA_MONGODB_URL is missing: RabbitMQ and MongoDB are used together; "
                "set both, or none for the embedded default"
            )
        return self


class Settings(StoreSettings):
    """Hold the settings of one server, checked together."""

    definitions: Annotated[tuple[str, ...], NoDecode] = ()
    http_host: str = "127.0.0.1"
    http_port: Annotated[int, Field(ge=0, le=65_535)] = 8003
    api_tokens: Annotated[tuple[ApiToken, ...], NoDecode] = ()
    allow_unprotected: bool = False
    prefetch: Annotated[int, Field(ge=1, le=65_535)] = 200
    shutdown_grace: Annotated[float, Field(ge=0, le=3_600, allow_inf_nan=False)] = 8
    amqp_prefix: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,63}$")] = "saga"
    step_events: bool = False
    webhook_hosts: Annotated[tuple[str, ...], NoDecode] = ()
    webhook_secret: SecretStr | None = None
    webhook_allow_private: bool = False
    log_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], Field(validation_alias="LOG_LEVEL")
    ] = "INFO"
    log_format: Literal["auto", "json", "console"] = "auto"
    service_concurrency: Annotated[int, Field(ge=1, le=1_000)] = 20
    service_timeout: Annotated[float | None, Field(gt=0, le=86_400, allow_inf_nan=False)] = None
    service_urls: Annotated[Mapping[str, SecretStr], NoDecode] = Field(default_factory=dict)

    @property
    def is_embedded(self) -> bool:
        """Say whether the server works without RabbitMQ and MongoDB."""
        return self.amqp_url is None

    @property
    def webhook_keys(self) -> tuple[bytes, ...]:
        """The keys that webhooks are signed with; none where nobody is called back."""
        if self.webhook_secret is None:
            return ()
        return tuple(parse_secret(part) for part in _parts(self.webhook_secret.get_secret_value()))

    @field_validator("webhook_hosts", mode="before")
    @classmethod
    def _read_hosts(cls, value: object) -> object:
        return parse_hosts(_parts(value)) if isinstance(value, str) else value

    @field_validator("webhook_secret")
    @classmethod
    def _check_secret(cls, value: SecretStr | None) -> SecretStr | None:
        for part in _parts(value.get_secret_value()) if value else ():
            parse_secret(part)
        return value

    @field_validator("definitions", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return _parts(value) if isinstance(value, str) else value

    @field_validator("api_tokens", mode="before")
    @classmethod
    def _read_tokens(cls, value: object) -> object:
        return tuple(_token(part) for part in _parts(value)) if isinstance(value, str) else value

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if self.amqp_url is None and self.mongodb_url is not None:
            raise ValueError(
                "SAGA_AMQP_URL is missing: RabbitMQ and MongoDB are used together; "
                "set both, or none for the embedded default"
            )
        if not self.api_tokens and not self.allow_unprotected and not _is_loopback(self.http_host):
            raise ValueError(
                "SAGA_HTTP_HOST is no loopback address and SAGA_API_TOKENS is not set: set tokens, "
                "or SAGA_ALLOW_UNPROTECTED=on if anybody may start processes here"
            )
        if bool(self.webhook_hosts) != (self.webhook_secret is not None):
            missing = "SAGA_WEBHOOK_SECRET" if self.webhook_hosts else "SAGA_WEBHOOK_HOSTS"
            raise ValueError(
                f"{missing} is missing: whoever is called back must be allowed, and what is sent is signed; "
                "set SAGA_WEBHOOK_HOSTS and SAGA_WEBHOOK_SECRET, or neither"
            )
        return self


def load_settings() -> Settings:
    """Read the settings from the environment. Raises SettingsError with every problem that was found."""
    fields, services = _secret_fields(Settings), _services_with_url(os.environ)
    secrets, unusable = _secrets({*fields, *services}, os.environ)
    problems = (*_misspelt(os.environ), *unusable)
    if unusable:  # what could not be read would be told a second time, as missing
        raise SettingsError(problems)
    urls = {service: SecretStr(secrets[name]) for name, service in services.items() if name in secrets}
    given: dict[str, Any] = {field: secrets[name] for name, field in fields.items() if name in secrets}
    try:
        settings = Settings(service_urls=urls, **given)
    except ValidationError as error:
        raise SettingsError((*problems, *_sentences(error))) from None
    if problems:
        raise SettingsError(problems)
    return settings


def load_store_settings() -> StoreSettings:
    """Read from the environment where the store is. Raises SettingsError."""
    fields = _secret_fields(StoreSettings)
    secrets, unusable = _secrets(fields, os.environ)
    problems = (*_misspelt(os.environ), *unusable)
    if problems:
        raise SettingsError(problems)
    given: dict[str, Any] = {fields[name]: value for name, value in secrets.items()}
    try:
        return StoreSettings(**given)
    except ValidationError as error:
        raise SettingsError(_sentences(error)) from None


def addresses_of(settings: Settings, service: str) -> tuple[Address, ...] | None:
    """Give the addresses of a service, or None where it is a participant at the broker. Raises SettingsError."""
    text = settings.service_urls.get(service)
    if text is None:
        return None
    try:
        return read_addresses(text.get_secret_value())
    except InvalidAddress as error:
        raise SettingsError((f"{service.upper()}_SERVICE_URL {error}",)) from None


def check_service_urls(settings: Settings, services: Collection[str]) -> None:
    """Raise SettingsError with every address of these services that can't be one."""
    problems: list[str] = []
    for service in sorted(services):
        try:
            addresses_of(settings, service)
        except SettingsError as error:
            problems.extend(error.problems)
    if problems:
        raise SettingsError(tuple(problems))


def _secret_fields(model: type[StoreSettings]) -> dict[str, str]:
    """Map the variables of what is never shown, and so may come by a file, to the field of each."""
    return {
        _variable(name): name
        for name, field in model.model_fields.items()
        if name == "api_tokens" or field.annotation == SecretStr | None
    }


def _secrets(
    names: Collection[str], environment: Mapping[str, str]
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Read those of the named secrets that are set, and say why others can't be used."""
    found: dict[str, str] = {}
    problems: list[str] = []
    for name in sorted(names):
        try:
            value = secret(environment, name)
        except UnusableSecret as error:
            problems.append(str(error))
        else:
            if value is not None:
                found[name] = value
    return found, tuple(problems)


def _services_with_url(environment: Mapping[str, str]) -> dict[str, str]:
    """Map the variables that name a service's address, by value or by file, to the service."""
    names = {name.removesuffix(FILE) for name in environment if not name.startswith(PREFIX)}
    return {name: match["service"].lower() for name in names if (match := _SERVICE_URL.fullmatch(name))}


def _variable(name: str) -> str:
    return "LOG_LEVEL" if name.upper() == "LOG_LEVEL" else PREFIX + name.upper()


def _misspelt(given: Collection[str]) -> tuple[str, ...]:
    known = [_variable(name) for name in Settings.model_fields if name not in {"service_urls", "log_level"}]
    known += [name + FILE for name in _secret_fields(Settings)]
    return tuple(
        f"there is no setting {name}{_suggestion(name, known)}"
        for name in sorted(given)
        if name.upper().startswith(PREFIX)
        and name not in known
        and name not in _OF_OTHERS
        and not name.startswith(_OF_TESTS)
    )


def _suggestion(name: str, known: Collection[str]) -> str:
    close = difflib.get_close_matches(name.upper(), known, n=1)
    return f": did you mean {close[0]}?" if close else f"; there are {', '.join(sorted(known))}"


def _sentences(error: ValidationError) -> tuple[str, ...]:
    return tuple(
        ": ".join([*([_variable(str(one["loc"][0]))] if one["loc"] else []), _plain(str(one["msg"]))])
        for one in error.errors(include_url=False, include_input=False, include_context=False)
    )


def _plain(message: str) -> str:
    return message.removeprefix("Value error, ")


def _parts(text: str) -> tuple[str, ...]:
    return tuple(part for part in (part.strip() for part in text.split(",")) if part)


def _token(text: str) -> ApiToken:
    name, _, rest = text.partition(":")
    scopes, _, digest = rest.partition(":")
    chosen = frozenset(scopes.split("+"))
    if not name or not chosen <= set(SCOPES):
        raise ValueError(
            "each token is name:scope+scope:sha256-of-token with the scopes read, operate, admin"
        )
    if len(digest) != _SHA256_DIGITS or not re.fullmatch(r"[0-9a-fA-F]+", digest):
        raise ValueError(f"what stands for the token of {name!r} is not a SHA-256 in 64 hexadecimal digits")
    return ApiToken(name, chosen, bytes.fromhex(digest))


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
