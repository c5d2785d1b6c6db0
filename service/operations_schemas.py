"""What comes out of the operations: the state of the service, and what its models and genres are."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from models.features import FEATURE_COUNT
from service.schemas import EXAMPLE_FEATURES, Country, Feature, Latitude, Longitude, ModelVersion


class PlaceOfOrigin(BaseModel):
    """A place where pieces of a genre come from."""

    country: Country
    latitude: Latitude
    longitude: Longitude
    share: Annotated[
        float, Field(ge=0, le=1, description="The share of the genre's training pieces that come from here.")
    ]


class DistinctiveFeature(BaseModel):
    """A feature in which a genre lies far from all pieces."""

    feature: Annotated[
        int,
        Field(ge=1, le=FEATURE_COUNT, description="The feature's number: its column in the data set, from 1."),
    ]
    z_score: Annotated[
        float,
        Field(
            description="How far the genre's mean of it lies above that of all training pieces, or below if negative, "
            "in the feature's standard deviations."
        ),
    ]


class Genre(BaseModel):
    """What a genre is made of."""

    genre: Annotated[int, Field(ge=0, description="The genre's number; 0 is the largest genre.", examples=[4])]
    size: Annotated[int, Field(ge=0, description="How many training pieces it has.", examples=[101])]
    share_north_of_20: Annotated[
        float, Field(ge=0, le=1, description="The share of its training pieces from north of 20° N.", examples=[0.91])
    ]
    places: Annotated[
        list[PlaceOfOrigin], Field(description="All places that its training pieces come from, commonest first.")
    ]
    distinctive_features: Annotated[
        list[DistinctiveFeature],
        Field(
            description="The features in which its mean lies farthest from that of all training pieces, farthest first."
        ),
    ]
    centroid: Annotated[
        list[float],
        Field(
            min_length=FEATURE_COUNT,
            max_length=FEATURE_COUNT,
            description="The mean of its training pieces: a piece is of the genre whose centroid is nearest.",
            examples=[[round(value / 2, 3) for value in EXAMPLE_FEATURES]],
        ),
    ]
    example: Annotated[
        list[Feature],
        Field(
            min_length=FEATURE_COUNT,
            max_length=FEATURE_COUNT,
            description="A piece made for trying `/genre` out, no piece of music: from the centroid it lies in the "
            "direction of the example of these docs, at the median distance of the genre's training pieces.",
            examples=[EXAMPLE_FEATURES],
        ),
    ]


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
            "places, and of each genre and network what it is and what it reached. `accuracy_known_places` and "
            "`accuracy_unseen_places` say how often each network, and always answering the commoner side "
            "(`majority`), is right about the side of 20° N of pieces left out of training: other pieces of the same "
            "places, and pieces of places wholly left out. Both are empty if that was not evaluated.",
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
