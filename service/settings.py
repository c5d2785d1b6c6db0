"""Every knob of the service, read from the environment."""

import os
import re
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from models.archive import DEFAULT_BUNDLE

ENVIRONMENT_PREFIX = "MUSIC_ORIGIN_"
KEY = re.compile(r"[!-+\--~]+")  # what a header can carry, but no comma
ORIGIN = re.compile(r"https?://[^/\s]+")
KNOWN_ELSEWHERE = {"MUSIC_ORIGIN_DATA"}  # to training


class SettingsError(Exception):
    """A value in the environment that does not fit. The message is one sentence that names the variable."""


def _listed(value: Any) -> Any:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _keys(value: Any) -> Any:
    """Keys parted by commas. An empty value is more likely a secret that was lost than a wish for none."""
    return _checked_keys(_listed(value)) if isinstance(value, str) else value


def _keys_in_file(value: Any) -> Any:
    """The keys in the file of that name, one a line."""
    if not isinstance(value, str):
        return value
    try:
        lines = Path(value).read_text(encoding="ascii").splitlines()
    except (OSError, ValueError) as error:
        raise ValueError(f"'{value}' cannot be read as keys, one a line") from error
    return _checked_keys(tuple(line.strip() for line in lines if line.strip()))


def _checked_keys(keys: tuple[str, ...]) -> tuple[str, ...]:
    if not keys:
        raise ValueError("it holds no key: unset it to ask for none")
    if not all(map(KEY.fullmatch, keys)):
        raise ValueError("a key is made of visible ASCII characters, without commas")
    return keys


def _origins(origins: tuple[str, ...]) -> tuple[str, ...]:
    if not all(origin == "*" or ORIGIN.fullmatch(origin) for origin in origins):
        raise ValueError("an origin is like https://example.org, without a slash at the end, or *")
    return origins


def _telemetry_is_installed(value: bool) -> bool:
    if value and find_spec("opentelemetry.sdk") is None:
        raise ValueError("OpenTelemetry is not installed: it is in the extra `telemetry`, which `make extras` adds")
    return value


class Settings(BaseSettings):
    """The values of the MUSIC_ORIGIN_* variables."""

    model_config = SettingsConfigDict(env_prefix=ENVIRONMENT_PREFIX, frozen=True, hide_input_in_errors=True)

    bundle: Annotated[Path, Field(description="The model bundle to serve.")] = DEFAULT_BUNDLE
    watch: Annotated[
        bool, Field(description="Whether the bundle is loaded anew when its file has changed, as it is at SIGHUP.")
    ] = False
    max_batch: Annotated[int, Field(gt=0, description="The most rows in one batch.")] = 10_000
    max_body_bytes: Annotated[
        int,
        Field(
            gt=0,
            description="The largest body taken, in bytes, before and after decompression; of one piece at most 65536.",
        ),
    ] = 16 * 2**20
    max_concurrency: Annotated[
        int,
        Field(
            gt=0,
            description="The most predictions under way in one worker; more are answered 429, and so are large batches "
            "while 32 wait.",
        ),
    ] = 1000
    request_timeout: Annotated[
        float,
        Field(
            gt=0,
            allow_inf_nan=False,
            description="Seconds within which a head, then its body, must have come, and a reply been taken.",
        ),
    ] = 30.0
    drain_seconds: Annotated[
        float,
        Field(
            ge=0,
            allow_inf_nan=False,
            description="Seconds from SIGTERM to the end; until the last two, all is answered, and `/health/ready` is "
            "503.",
        ),
    ] = 0.0
    api_key: Annotated[
        tuple[SecretStr, ...],
        NoDecode,
        BeforeValidator(_keys),
        Field(description="Keys, parted by commas, one of which predictions and `/metrics` then need."),
    ] = ()
    api_key_file: Annotated[
        tuple[SecretStr, ...],
        NoDecode,
        BeforeValidator(_keys_in_file),
        Field(description="A file with further such keys, one a line, as a mounted secret."),
    ] = ()
    cors_origins: Annotated[
        tuple[str, ...],
        NoDecode,
        BeforeValidator(_listed),
        AfterValidator(_origins),
        Field(description="Origins, parted by commas, whose pages may use the service; `*` for all."),
    ] = ()
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        BeforeValidator(lambda level: level.lower() if isinstance(level, str) else level),
        Field(description="The least level of requests that is logged: 5xx are errors, probes are for debugging."),
    ] = "info"
    access_log: Annotated[bool, Field(description="Whether each request is logged.")] = True
    telemetry: Annotated[
        bool,
        AfterValidator(_telemetry_is_installed),
        Field(description="Whether OpenTelemetry is sent, by the `telemetry` extra, to where OTEL_* variables say."),
    ] = False

    @property
    def keys(self) -> tuple[SecretStr, ...]:
        """The keys that are taken; without any, none is asked for."""
        return self.api_key + self.api_key_file


def _refuse_slips() -> None:
    """A name that is nearly a setting's is a slip. Others may be somebody else's: Kubernetes sets MUSIC_ORIGIN_PORT."""
    known = [f"{ENVIRONMENT_PREFIX}{name.upper()}" for name in Settings.model_fields]
    for name in os.environ:
        slip = name.upper().startswith(ENVIRONMENT_PREFIX) and name.upper() not in {*known, *KNOWN_ELSEWHERE}
        if slip and (meant := get_close_matches(name.upper(), known, n=1, cutoff=0.9)):
            raise SettingsError(f"{name}: there is no such setting, but there is {meant[0]}")


def read_settings() -> Settings:
    """The settings that the environment gives. Raises SettingsError."""
    _refuse_slips()
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        variable = f"{ENVIRONMENT_PREFIX}{first['loc'][0]}".upper()
        raise SettingsError(f"{variable}: {first['msg'].removeprefix('Value error, ')}") from None
