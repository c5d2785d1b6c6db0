"""What an error says, as RFC 9457 describes it."""

from typing import Annotated

from pydantic import BaseModel, Field

from service.schemas import absent


class InvalidValue(BaseModel):
    """One thing that is wrong in a request."""

    pointer: Annotated[
        str,
        Field(
            description="Where in the body, as a JSON Pointer (RFC 6901), or `?name` for a query parameter; empty for "
            "the body and `?` for the query as a whole. Of a batch that is no JSON, where it would be in JSON.",
            examples=["/features/3"],
        ),
    ]
    row: Annotated[
        int | None,
        Field(description="In a batch: the row, from 1, a header not counted.", exclude_if=absent, examples=[1]),
    ] = None
    column: Annotated[
        int | None, Field(description="In a batch: the column, from 1.", exclude_if=absent, examples=[4])
    ] = None
    message: Annotated[str, Field(description="What it must be.", examples=["must be a number"])]


class Problem(BaseModel):
    """An error, as RFC 9457 describes it."""

    type: Annotated[
        str,
        Field(
            description="A path of this service that explains this kind of error.", examples=["/problems/invalid-input"]
        ),
    ]
    title: Annotated[str, Field(description="The status in words.", examples=["Unprocessable Content"])]
    status: Annotated[int, Field(description="The HTTP status.", examples=[422])]
    detail: Annotated[str, Field(description="What is wrong and how to mend it.")]
    instance: Annotated[
        str,
        Field(
            description="This one occurrence: `urn:request:` and the request's id, which the log has too.",
            examples=["urn:request:3f2a"],
        ),
    ]
    errors: Annotated[
        list[InvalidValue],
        Field(description="For invalid input: what is wrong, place by place; ten places at the most."),
    ] = []
