"""What comes out of the operations: the state of the service, and what its models and genres are."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from service.schemas import Country, Latitude, Longitude, ModelVersion


class PlaceOfOrigin(BaseModel):
    """A place where pieces of a genre come from."""

    country: Country
    latitude: Latitude
    longitude: Longitude
    share: Annotated[
        float, Field(ge=0, le=1, description="The share of the genre's training pieces that come from here.")
    ]


class Genre(BaseModel):
    """What a genre is made of."""

    genre: Annotated[int, Field(ge=0, description="The genre's number; 0 is the largest genre.")]
    size: Annotated[int, Field(ge=0, description="How many training pieces it has.")]
    share_north_of_20: Annotated[
        float, Field(ge=0, le=1, description="The share of its training pieces from north of 20° N.")
    ]
    places: Annotated[list[PlaceOfOrigin], Field(description="Its commonest places of origin, commonest first.")]


class Genres(BaseModel):
    """All genres."""

    genres: Annotated[list[Genre], Field(description="The genres in the order of their numbers.")]
    model_version: ModelVersion


class Model(BaseModel):
    """The models' manifest."""

    fingerprint: Annotated[
        str, Field(description="SHA-256, in hex, over all arrays of the models and over the manifest.")
    ]
    manifest: Annotated[
        dict[str, Any],
        Field(
            description="What training recorded: the data's SHA-256 and rows, the seed, the versions of libraries, all "
            "places, and of each genre and network what it is and what it reached.",
        ),
    ]
    model_version: ModelVersion


class Live(BaseModel):
    """That the process answers."""

    status: Annotated[Literal["live"], Field(description="`live`: the process answers.")]


class Ready(BaseModel):
    """That predictions are answered."""

    status: Annotated[Literal["ready"], Field(description="`ready`: the models are loaded and predictions answered.")]
    model_version: ModelVersion
