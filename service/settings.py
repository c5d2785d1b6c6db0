"""Every knob of the service, read from the environment."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from models.bundle import DEFAULT_BUNDLE

ENVIRONMENT_PREFIX = "MUSIC_ORIGIN_"


class SettingsError(Exception):
    """A value in the environment that does not fit. The message is one sentence that names the variable."""


class Settings(BaseSettings):
    """The values of the MUSIC_ORIGIN_* variables."""

    model_config = SettingsConfigDict(env_prefix=ENVIRONMENT_PREFIX, frozen=True)

    bundle: Annotated[Path, Field(description="The model bundle to serve.")] = DEFAULT_BUNDLE
    max_body_bytes: Annotated[int, Field(gt=0, description="The largest request body taken, in bytes.")] = 2**16


def read_settings() -> Settings:
    """The settings that the environment gives. Raises SettingsError."""
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        variable = f"{ENVIRONMENT_PREFIX}{first['loc'][0]}".upper()
        raise SettingsError(f"{variable}: {first['msg']}") from error
