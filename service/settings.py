"""Every knob of the service, read from the environment."""

import re
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from models.bundle import DEFAULT_BUNDLE

ENVIRONMENT_PREFIX = "MUSIC_ORIGIN_"
KEY = re.compile(r"[!-+\--~]+")  # what a header can carry, but no comma


class SettingsError(Exception):
    """A value in the environment that does not fit. The message is one sentence that names the variable."""


def _listed(value: Any) -> Any:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _keys(value: Any) -> Any:
    """Keys parted by commas. An empty value is more likely a secret that was lost than a wish for none."""
    keys = _listed(value)
    if isinstance(value, str) and not keys:
        raise ValueError("it holds no key: unset it to ask for none")
    if isinstance(keys, tuple) and not all(isinstance(key, SecretStr) or KEY.fullmatch(key) for key in keys):
        raise ValueError("a key is made of visible ASCII characters")
    return keys


def _telemetry_is_installed(value: bool) -> bool:
    if value and find_spec("opentelemetry.sdk") is None:
        raise ValueError("OpenTelemetry is not installed: pip install 'music-origin[telemetry]'")
    return value


class Settings(BaseSettings):
    """The values of the MUSIC_ORIGIN_* variables."""

    model_config = SettingsConfigDict(env_prefix=ENVIRONMENT_PREFIX, frozen=True, hide_input_in_errors=True)

    bundle: Annotated[Path, Field(description="The model bundle to serve.")] = DEFAULT_BUNDLE
    max_batch: Annotated[int, Field(gt=0, description="The most rows in one batch.")] = 10_000
    max_body_bytes: Annotated[
        int, Field(gt=0, description="The largest request body taken, in bytes, before and after decompression.")
    ] = 16 * 2**20
    max_concurrency: Annotated[
        int, Field(gt=0, description="The most predictions under way in one worker; more are answered 429.")
    ] = 1000
    request_timeout: Annotated[
        float, Field(gt=0, allow_inf_nan=False, description="Seconds within which a body must have arrived.")
    ] = 30.0
    drain_seconds: Annotated[
        float,
        Field(
            ge=0,
            allow_inf_nan=False,
            description="Seconds to go on answering after SIGTERM, while `/health/ready` is 503.",
        ),
    ] = 0.0
    api_key: Annotated[
        tuple[SecretStr, ...],
        NoDecode,
        BeforeValidator(_keys),
        Field(description="Keys, parted by commas, one of which predictions and `/metrics` then need."),
    ] = ()
    api_key_file: Annotated[
        Path | None, Field(description="A file with further such keys, one a line, as a mounted secret.")
    ] = None
    cors_origins: Annotated[
        tuple[str, ...],
        NoDecode,
        BeforeValidator(_listed),
        Field(description="Origins, parted by commas, whose pages may use the service; `*` for all."),
    ] = ()
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Field(description="The least level of requests that is logged: 5xx are errors, probes are for debugging."),
    ] = "info"
    access_log: Annotated[bool, Field(description="Whether each request is logged.")] = True
    telemetry: Annotated[
        bool,
        AfterValidator(_telemetry_is_installed),
        Field(description="Whether OpenTelemetry is sent, by the `telemetry` extra, to where OTEL_* variables say."),
    ] = False

    @model_validator(mode="before")
    @classmethod
    def _read_key_file(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Adds the file's keys to the others, while they can still be checked with them."""
        if path := values.get("api_key_file"):
            try:
                lines = Path(path).read_text(encoding="ascii").split()
            except (OSError, ValueError) as error:
                raise ValueError(f"API_KEY_FILE: {path} cannot be read as keys, one a line") from error
            values["api_key"] = ",".join(filter(None, [values.get("api_key"), *lines]))
        return values


def read_settings() -> Settings:
    """The settings that the environment gives. Raises SettingsError."""
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = "_".join(map(str, first["loc"][:1]))
        message = first["msg"].removeprefix("Value error, ")
        separator = ": " if name else ""
        raise SettingsError(f"{ENVIRONMENT_PREFIX}{name.upper()}{separator}{message}") from None
