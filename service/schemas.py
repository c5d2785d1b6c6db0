"""What goes into the service and what comes out, with examples."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from models.features import FEATURE_BOUND, FEATURE_COUNT

# Made for the documentation: drawn from a normal distribution and rounded, no piece of music.
EXAMPLE_FEATURES: list[float] = [
    0.21, -0.54, 1.13, 0.08, -0.92, 0.37, -0.15, 0.66, -1.21, 0.44, 0.03, -0.38, 0.87, -0.29, 0.52, -0.71, 0.19,
    1.04, -0.46, 0.11, 0.73, -0.83, 0.28, -0.09, 0.95, -0.62, 0.34, -1.07, 0.56, 0.02, -0.24, 0.81, -0.49, 0.16,
    -0.33, 0.68, -0.77, 0.41, 0.12, -0.58, 1.26, -0.05, 0.23, -0.99, 0.47, 0.31, -0.64, 0.07, 0.89, -0.36, -0.18,
    0.59, -0.86, 0.25, 0.14, -0.42, 0.76, -0.27, 0.04, 0.93, -0.51, 0.38, -0.13, 0.62, -0.69, 0.17, -0.22, 0.45,
]  # fmt: skip

Feature = Annotated[float, Field(ge=-FEATURE_BOUND, le=FEATURE_BOUND, allow_inf_nan=False)]
ModelVersion = Annotated[
    str,
    Field(
        description="Which trained models answered: the first 12 hex digits of their fingerprint.",
        examples=["0123456789ab"],
        pattern="^[0-9a-f]{12}$",
    ),
]
Latitude = Annotated[float, Field(ge=-90, le=90, description="Degrees north.", examples=[35.7])]
Longitude = Annotated[float, Field(ge=-180, le=180, description="Degrees east.", examples=[139.71])]
NetworkName = Literal["simple", "hidden", "places"]


class Piece(BaseModel):
    """One piece of music as 68 audio features."""

    model_config = ConfigDict(
        strict=True, extra="forbid", json_schema_extra={"examples": [{"features": [*EXAMPLE_FEATURES]}]}
    )

    features: Annotated[
        list[Feature],
        Field(
            min_length=FEATURE_COUNT,
            max_length=FEATURE_COUNT,
            description=(
                f"{FEATURE_COUNT} numbers in the data set's column order, standardised as there "
                f"(about mean 0 and standard deviation 1), each between {-FEATURE_BOUND:g} and {FEATURE_BOUND:g}."
            ),
        ),
    ]


class GenrePrediction(BaseModel):
    """The genre of a piece: the cluster whose centroid is nearest."""

    genre: Annotated[int, Field(ge=0, description="The genre's number; 0 is the largest genre.", examples=[1])]
    distance: Annotated[
        float, Field(ge=0, description="Euclidean distance from the piece to its genre's centroid.", examples=[5.28])
    ]
    distances: Annotated[
        list[float],
        Field(
            description="Euclidean distances from the piece to every genre's centroid, in the order of the genres.",
            examples=[[6.38, 5.28, 6.19, 7.37, 6.33, 6.52, 6.89, 8.07, 12.31, 10.36]],
        ),
    ]
    model_version: ModelVersion


class NorthOf20Options(BaseModel):
    """How to predict the side of 20° N."""

    model_config = ConfigDict(extra="forbid")

    network: Annotated[
        NetworkName,
        Field(
            description="Which network answers. `places` adds up the probabilities of the places north of 20° N; it is "
            "the most accurate and the best calibrated on unseen pieces of those places, hence the default. `simple` "
            "has one layer, `hidden` a hidden one. The model card has the figures."
        ),
    ] = "places"


class NorthOf20Prediction(BaseModel):
    """Whether a piece comes from north of 20° N."""

    north_of_20: Annotated[bool, Field(description="Whether north of 20° N is the likelier side.", examples=[True])]
    probability: Annotated[
        float,
        Field(
            ge=0, le=1, description="The network's probability that the piece is from north of 20° N.", examples=[0.957]
        ),
    ]
    network: Annotated[NetworkName, Field(description="Which network answered.")]
    model_version: ModelVersion


class OriginOptions(BaseModel):
    """How much to say of the origin."""

    model_config = ConfigDict(extra="forbid")

    top: Annotated[
        int,
        Field(
            ge=1,
            le=1000,
            description="How many places to list, the likeliest first; all if there are fewer.",
        ),
    ] = 5


class Place(BaseModel):
    """A place of the training data: the capital of a country or province."""

    country: Annotated[
        str | None, Field(description="The country or region; null where it is not known.", examples=["Japan"])
    ]
    latitude: Latitude
    longitude: Longitude


class PlaceProbability(Place):
    """A place where the piece may come from."""

    probability: Annotated[
        float, Field(ge=0, le=1, description="How likely the piece comes from here.", examples=[0.139])
    ]


class OriginPrediction(BaseModel):
    """Where a piece comes from, as far as it resembles the pieces of the places that the network knows."""

    places: Annotated[list[PlaceProbability], Field(description="The likeliest places, likeliest first.")]
    latitude: Annotated[Latitude, Field(description="Of the point of least expected error, in degrees north.")]
    longitude: Annotated[Longitude, Field(description="Of the point of least expected error, in degrees east.")]
    expected_error_km: Annotated[
        float,
        Field(
            ge=0,
            description="The expected great-circle distance from the point to the true place, if the probabilities of "
            "all places are right. The true error was a little less than this in the mean, on unseen pieces of the "
            "known places.",
            examples=[2100.0],
        ),
    ]
    model_version: ModelVersion


class PlaceOfOrigin(Place):
    """A place where pieces of a genre come from."""

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


class Health(BaseModel):
    """The state of the service."""

    status: Annotated[Literal["ok"], Field(description="`ok`: the models are loaded and predictions are answered.")]
    model_version: ModelVersion


class InvalidValue(BaseModel):
    """One thing that is wrong in a request."""

    pointer: Annotated[
        str,
        Field(
            description="Where in the body, as a JSON Pointer (RFC 6901), or `?name` for a query parameter; "
            "empty for the body as a whole.",
            examples=["/features/3"],
        ),
    ]
    message: Annotated[str, Field(description="What it must be.", examples=["must be a number"])]


class Problem(BaseModel):
    """An error, as RFC 9457 describes it."""

    type: Annotated[str, Field(description="`about:blank`: the status says what kind of error it is.")]
    title: Annotated[str, Field(description="The status in words.", examples=["Unprocessable Content"])]
    status: Annotated[int, Field(description="The HTTP status.", examples=[422])]
    detail: Annotated[str, Field(description="What is wrong and how to mend it.")]
    errors: Annotated[
        list[InvalidValue],
        Field(description="For invalid input: what is wrong, place by place; ten places at the most."),
    ] = []
