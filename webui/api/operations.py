"""Operations of the API: views with pydantic models of what they accept and return, and with their OpenAPI entries.

A view gets the validated `query` and `body`, and the values in the path; it returns an instance of the `answer`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeVar, get_args, get_origin

from flask import Blueprint, request
from flask_babel import gettext
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import UnsupportedMediaType
from werkzeug.wrappers import Response

from catalog.api_keys import Scope
from webui.api import idempotency
from webui.authentication import API, caller, require
from webui.errors import InvalidFields
from webui.languages import check_api_language
from webui.services import services

PREFIX = "/api/v1"
ATTRIBUTE = "attr."
"""Prefix of the query parameters that a model has as the field `attributes`."""

LANGUAGE = "lang"
"""Query parameter of all operations: the language of messages, and of the pages that addresses lead to."""

TYPES = ("str", "int", "float")
"""Names of the types of a union, which pydantic adds to the path of a field."""

View = TypeVar("View", bound=Callable[..., Any])

blueprint = Blueprint(API, __name__, url_prefix=PREFIX)
blueprint.before_request(check_api_language)


@dataclass(frozen=True)
class Operation:
    """What an operation accepts and returns."""

    name: str  # of the view, and the last part of its endpoint
    method: str
    path: str  # a rule of Flask, below `PREFIX`
    scope: Scope  # that a key needs
    public: bool  # it can be used without a key, unless a setting forbids it
    summary: str
    description: str
    answer: type[BaseModel] | None  # None: nothing
    status: int  # of success
    query: type[BaseModel] | None
    body: type[BaseModel] | None
    photo: bool  # it accepts a photo as its body, or as the field "photo" of a form
    problems: tuple[int, ...]  # statuses of errors besides those that every operation may return


OPERATIONS: list[Operation] = []


def operation(
    method: str,
    path: str,
    scope: Scope,
    *,
    public: bool = False,
    answer: type[BaseModel] | None,
    status: int = 200,
    query: type[BaseModel] | None = None,
    body: type[BaseModel] | None = None,
    photo: bool = False,
    problems: tuple[int, ...] = (),
) -> Callable[[View], View]:
    """Register a view as an operation; the arguments are described in `Operation`."""

    def register(view: View) -> View:
        summary, _, description = (view.__doc__ or "").partition("\n\n")
        name = view.__name__
        texts = summary, description
        found = Operation(name, method, path, scope, public, *texts, answer, status, query, body, photo, problems)
        OPERATIONS.append(found)

        @wraps(view)
        def handle(**values: Any) -> Response:
            require(scope, public=public)

            def carry_out() -> Response:
                return _response(found, view(**values, **_arguments(found)))

            holder, key = caller(), request.headers.get(idempotency.HEADER)
            if method != "POST" or holder is None or key is None:
                return carry_out()
            return idempotency.once(services().sessions, holder.key_id, key, carry_out)

        blueprint.add_url_rule(path, view.__name__, handle, methods=[method])
        return view

    return register


def read_query(model: type[BaseModel], parameters: MultiDict[str, str]) -> BaseModel:
    """Validate query parameters; `attr.NAME` is the value NAME of the field `attributes`.

    Raises:
        InvalidFields: a parameter is unknown, not valid, or has several values but can have only one.
    """
    fields = {info.alias or name: info for name, info in model.model_fields.items()}
    values: dict[str, Any] = {}
    repeated = []
    for name, given in parameters.lists():
        if name.startswith(ATTRIBUTE) and "attributes" in fields:
            values.setdefault("attributes", {})[name.removeprefix(ATTRIBUTE)] = given
        elif name in fields and _is_list(fields[name].annotation):
            values[name] = given
        else:
            values[name] = given[0]
            repeated += [name] if len(given) > 1 else []
    if repeated:
        raise InvalidFields([(name, "it has several values; give one") for name in repeated])
    return _validated(lambda: model.model_validate(values))


def _is_list(annotation: Any) -> bool:
    return any(get_origin(each) is list for each in (annotation, *get_args(annotation)))


def _arguments(found: Operation) -> dict[str, BaseModel]:
    arguments: dict[str, BaseModel] = {}
    parameters = MultiDict(request.args)
    parameters.poplist(LANGUAGE)
    if found.query is not None:
        arguments["query"] = read_query(found.query, parameters)
    elif parameters:
        raise InvalidFields([(name, "this operation has no parameters") for name in parameters])
    if found.body is not None:
        model = found.body
        if not request.is_json:
            raise UnsupportedMediaType(gettext("Send JSON, with the header Content-Type: application/json."))
        data = request.get_data()
        arguments["body"] = _validated(lambda: model.model_validate_json(data, strict=True))
    return arguments


def _validated(validate: Callable[[], BaseModel]) -> BaseModel:
    try:
        return validate()
    except ValidationError as error:
        raise InvalidFields(list(_explained(error.errors(include_url=False)))) from None


def _explained(errors: list[ErrorDetails]) -> Iterator[tuple[str, str]]:
    """Yield the path of each invalid field, and what is wrong; a value that fits none of several types only once."""
    seen = set()
    for error in errors:
        path = [
            str(part) for part in error["loc"] if part not in TYPES and (isinstance(part, int) or part.isidentifier())
        ]
        field = ".".join(path)[:200]
        if field not in seen:
            seen.add(field)
            yield field, error["msg"][:1].lower() + error["msg"][1:]


def _response(found: Operation, answer: BaseModel | None) -> Response:
    if answer is None:
        return Response(status=found.status)
    response = Response(answer.model_dump_json(by_alias=True), found.status, mimetype="application/json")
    if found.method == "GET":
        response.add_etag()
        response.make_conditional(request.environ)
    return response
