"""What goes in and comes out by the Open Inference Protocol, version 2."""

from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, FailFast, Field, SkipValidation

from models.features import FEATURE_COUNT
from service.schemas import EXAMPLE_FEATURES, Feature, ModelVersion, NetworkName, absent


class InferenceError(BaseModel):
    """An error, as the Open Inference Protocol has it."""

    error: Annotated[str, Field(description="What is wrong and how to mend it.")]


class InferenceServer(BaseModel):
    """What serves."""

    name: Annotated[str, Field(description="The server's name.", examples=["music-origin"])]
    version: Annotated[str, Field(description="The server's version.")]
    extensions: Annotated[
        list[str], Field(description="Extensions of the protocol that it has.", examples=[["binary_tensor_data"]])
    ]


class InferenceLive(BaseModel):
    """Whether the process answers."""

    live: Annotated[bool, Field(description="Always true.")]


class InferenceReady(BaseModel):
    """Whether inference is answered."""

    ready: Annotated[bool, Field(description="Whether inference is answered.")]
    live: Annotated[bool, Field(description="Always true.")]
    error: Annotated[str | None, Field(description="Only there if not ready: why.", exclude_if=absent)] = None


class InferenceModels(BaseModel):
    """The models there are."""

    models: Annotated[list[str], Field(description="Their names.", examples=[["genre", "north-of-20"]])]


class TensorMetadata(BaseModel):
    """A tensor that a model takes or gives."""

    name: Annotated[str, Field(description="The tensor's name.")]
    datatype: Annotated[str, Field(description="The type of its numbers.")]
    shape: Annotated[list[int], Field(description="Its dimensions; -1 stands for the number of rows.")]


class InferenceModel(BaseModel):
    """A model."""

    name: Annotated[str, Field(description="The model's name.")]
    versions: Annotated[list[str], Field(description="The versions that answer: one.")]
    platform: Annotated[str, Field(description="What computes it.")]
    inputs: Annotated[list[TensorMetadata], Field(description="What it takes. FP64 is taken too.")]
    outputs: Annotated[list[TensorMetadata], Field(description="What it gives.")]


class ModelReady(BaseModel):
    """Whether a model answers."""

    name: Annotated[str, Field(description="The model's name.")]
    ready: Annotated[bool, Field(description="Whether it answers.")]


Parameters = Annotated[
    dict[str, Any],
    # Some clients write null for what they have nothing to say of.
    BeforeValidator(lambda value: {} if value is None else value, json_schema_input_type=dict[str, Any] | None),
    Field(description="Further parameters; those that are not known are left aside, as the protocol has it."),
]


class InputTensor(BaseModel):
    """The features."""

    name: Annotated[Literal["features"], Field(description="The tensor's name.")]
    shape: Annotated[
        tuple[
            Annotated[int, Field(strict=True, ge=1)],
            Annotated[int, Field(strict=True, ge=FEATURE_COUNT, le=FEATURE_COUNT)],
        ],
        Field(description="The number of rows, and 68.", examples=[[1, FEATURE_COUNT]]),
    ]
    datatype: Annotated[Literal["FP32", "FP64"], Field(description="The type of the numbers.")]
    parameters: Annotated[Parameters, Field(description="`binary_data_size` if the data follow the JSON head.")] = {}
    data: Annotated[
        SkipValidation[list[Feature] | list[list[Feature]] | None],  # checked as arrays, in `tensors`
        Field(
            description="The numbers, row by row, flat or nested; not there if they follow the JSON head.",
            examples=[EXAMPLE_FEATURES],
        ),
    ] = None


class RequestedOutput(BaseModel):
    """An output that is asked for."""

    name: Annotated[str, Field(description="The tensor's name.")]
    parameters: Annotated[
        Parameters,
        Field(
            description="`binary_data` says whether it is to be binary.",
            json_schema_extra={"properties": {"binary_data": {"type": "boolean"}, "shared_memory_region": False}},
        ),
    ] = {}


class InferenceRequest(BaseModel):
    """What to infer from."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"inputs": [{"name": "features", "shape": [1, 68], "datatype": "FP64", "data": [*EXAMPLE_FEATURES]}]}
            ]
        }
    )

    id: Annotated[str | None, Field(description="Is given back in the reply.")] = None
    parameters: Annotated[
        Parameters,
        Field(
            description="`binary_data_output` says whether outputs are to be binary; `network` and `calibrated` are "
            "those of /north-of-20.",
            json_schema_extra={
                "properties": {"binary_data_output": {"type": "boolean"}, "network": {"enum": [*get_args(NetworkName)]}}
            },
        ),
    ] = {}
    inputs: Annotated[list[InputTensor], Field(min_length=1, max_length=1, description="The one tensor `features`.")]
    outputs: Annotated[
        list[RequestedOutput],
        FailFast(),
        BeforeValidator(
            lambda value: [] if value is None else value, json_schema_input_type=list[RequestedOutput] | None
        ),
        Field(description="The outputs wanted, in the order of the reply; all without it."),
    ] = []


class OutputTensor(TensorMetadata):
    """A tensor of the reply."""

    parameters: Annotated[
        Parameters | None, Field(description="`binary_data_size` if the data follow the JSON head.", exclude_if=absent)
    ] = None
    data: Annotated[
        list[float | int | bool] | None,
        Field(description="The numbers, row by row, flat; not there if they follow the JSON head.", exclude_if=absent),
    ] = None


class InferenceReply(BaseModel):
    """What was inferred."""

    model_name: Annotated[str, Field(description="The model's name.")]
    model_version: ModelVersion
    id: Annotated[str | None, Field(description="That of the request, if it had one.", exclude_if=absent)] = None
    outputs: Annotated[list[OutputTensor], Field(description="The tensors.")]
