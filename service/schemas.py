"""What goes into predictions and what comes out, with examples."""

from typing import Annotated, Literal, NotRequired

from pydantic import BaseModel, BeforeValidator, ConfigDict, FailFast, Field
from typing_extensions import TypedDict

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
Country = Annotated[
    str | None, Field(description="The country or region; null where it is not known.", examples=["Japan"])
]
Latitude = Annotated[float, Field(ge=-90, le=90, description="Degrees north.", examples=[35.7])]
Longitude = Annotated[float, Field(ge=-180, le=180, description="Degrees east.", examples=[139.71])]
NetworkName = Literal["simple", "hidden", "places"]
Typicality = Annotated[
    float,
    Field(
        ge=0,
        le=1,
        description="The share of the genre's training pieces that lie farther from its centroid than this piece: near "
        "1 in the middle of the genre, 0 beyond all of its pieces.",
        examples=[0.62],
    ),
]


# Made as the example is: three pieces.
EXAMPLE_ROWS = [EXAMPLE_FEATURES, [-value for value in EXAMPLE_FEATURES], EXAMPLE_FEATURES[::-1]]

UNUSUAL = (
    "This piece lies outside of the training data: not one in a thousand training pieces is as far from its genre's "
    "centroid, or as near. Most often that means features that were not standardised as the training data are."
)
UNUSUAL_ROWS = (
    "The pieces marked in `unusual` lie outside of the training data: not one in a thousand training pieces is as far "
    "from its genre's centroid, or as near. Most often that means features that were not standardised as the training "
    "data are."
)


def absent(value: object) -> bool:
    """Whether there is nothing to say: such a field is left out of the reply."""
    return value is None


def _true_or_false(value: object) -> object:
    """Takes true and false only, where pydantic would take `yes`, `1` and more."""
    return {"true": True, "false": False}.get(value, "neither") if isinstance(value, str) else value


class NoOptions(BaseModel):
    """The query of what has no options."""

    model_config = ConfigDict(extra="forbid")


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


class GenrePrediction(TypedDict):
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
    typicality: Typicality
    warning: NotRequired[
        Annotated[
            str,
            Field(description="Only there if the piece is unlike the training data as a whole.", examples=[UNUSUAL]),
        ]
    ]
    model_version: ModelVersion


class NorthOf20Options(BaseModel):
    """How to predict the side of 20° N."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    network: Annotated[
        NetworkName,
        Field(
            description="Which network answers. `places` adds up the probabilities of the places north of 20° N; it is "
            "the most accurate and the best calibrated on unseen pieces of those places, hence the default. `simple` "
            "has one layer, `hidden` a hidden one. The model card has the figures."
        ),
    ] = "places"
    calibrated: Annotated[
        bool,
        BeforeValidator(_true_or_false),
        Field(
            description="Whether the probability is calibrated, by a temperature fitted on pieces that the network did "
            "not train on. The side never changes by it. `false` gives the network's own figure."
        ),
    ] = True


class NorthOf20Prediction(TypedDict):
    """Whether a piece comes from north of 20° N."""

    north_of_20: Annotated[bool, Field(description="Whether north of 20° N is the likelier side.", examples=[True])]
    probability: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            description="The probability that the piece is from north of 20° N, calibrated unless asked otherwise.",
            examples=[0.778],
        ),
    ]
    network: Annotated[NetworkName, Field(description="Which network answered.")]
    model_version: ModelVersion


class Batch(BaseModel):
    """Pieces of music, each as 68 audio features."""

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        json_schema_extra={"examples": [{"features": [[*row] for row in EXAMPLE_ROWS]}]},
    )

    features: Annotated[
        list[Annotated[list[Feature], Field(min_length=FEATURE_COUNT, max_length=FEATURE_COUNT), FailFast()]],
        Field(min_length=1, description=f"Rows of {FEATURE_COUNT} numbers, one row for each piece."),
        FailFast(),
    ]


class GenreBatch(BaseModel):
    """The genres of pieces, column by column, each in the order of the rows."""

    genre: Annotated[list[int], Field(description="The genres' numbers.", examples=[[1, 4, 1]])]
    distance: Annotated[
        list[float],
        Field(description="Euclidean distances to the genres' centroids.", examples=[[5.28, 5.76, 5.31]]),
    ]
    typicality: Annotated[
        list[float],
        Field(
            description="The shares of the genres' training pieces that lie farther from the centroid than the piece.",
            examples=[[0.62, 0.41, 0.6]],
        ),
    ]
    unusual: Annotated[
        list[bool],
        Field(description="Which pieces are unlike the training data as a whole.", examples=[[False, False, False]]),
    ]
    warning: Annotated[
        str | None, Field(description="Only there if a piece is unusual.", examples=[UNUSUAL_ROWS], exclude_if=absent)
    ] = None
    model_version: ModelVersion


class NorthOf20Batch(BaseModel):
    """Which pieces come from north of 20° N, column by column, each in the order of the rows."""

    north_of_20: Annotated[
        list[bool], Field(description="Whether north of 20° N is the likelier side.", examples=[[True, True, True]])
    ]
    probability: Annotated[
        list[float],
        Field(
            description="The probabilities of north of 20° N, calibrated unless asked otherwise.",
            examples=[[0.778, 0.561, 0.702]],
        ),
    ]
    network: Annotated[NetworkName, Field(description="Which network answered.")]
    model_version: ModelVersion


class OriginOptions(BaseModel):
    """How much to say of the origin."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    top: Annotated[
        int,
        Field(
            ge=1,
            le=1000,
            description="How many places to list, the likeliest first; all if there are fewer.",
        ),
    ] = 5


class PlaceProbability(TypedDict):
    """A place where the piece may come from."""

    country: Country
    latitude: Latitude
    longitude: Longitude
    probability: Annotated[
        float, Field(ge=0, le=1, description="How likely the piece comes from here.", examples=[0.139])
    ]


class OriginPrediction(TypedDict):
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


class OriginBatch(BaseModel):
    """Where pieces come from, column by column, each in the order of the rows."""

    country: Annotated[
        list[str],
        Field(
            description="The countries or regions of the likeliest places; empty where they are not known.",
            examples=[["India", "Mali", "India"]],
        ),
    ]
    place_latitude: Annotated[
        list[float], Field(description="Of the likeliest places, in degrees north.", examples=[[28.61, 12.65, 28.61]])
    ]
    place_longitude: Annotated[
        list[float], Field(description="Of the likeliest places, in degrees east.", examples=[[77.2, -8.0, 77.2]])
    ]
    probability: Annotated[
        list[float], Field(description="The probabilities of the likeliest places.", examples=[[0.139, 0.231, 0.187]])
    ]
    latitude: Annotated[
        list[float],
        Field(description="Of the points of least expected error, in degrees north.", examples=[[37.44, 31.2, 39.1]]),
    ]
    longitude: Annotated[
        list[float],
        Field(description="Of the points of least expected error, in degrees east.", examples=[[60.61, 8.4, 57.9]]),
    ]
    expected_error_km: Annotated[
        list[float],
        Field(
            description="The expected great-circle distances from the points to the true places.",
            examples=[[3722.1, 3105.4, 3398.6]],
        ),
    ]
    model_version: ModelVersion
