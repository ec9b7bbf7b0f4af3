"""The OpenAPI document of the API, generated from its operations, and a page that shows it."""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from http import HTTPStatus
from importlib.metadata import version
from typing import Any

from flask import render_template
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from webui.api import idempotency
from webui.api.answers import absolute_url
from webui.api.operations import ATTRIBUTE, LANGUAGE, OPERATIONS, PREFIX, Operation, blueprint
from webui.api.schemas import Problem
from webui.services import services

REFERENCE = "#/components/schemas/{model}"
COMMON_PROBLEMS = (400, 401, 403, 429, 500, 503)
"""Statuses of errors that every operation may return."""

DESCRIPTION = "Search a shop's catalog with photos, words and filters. All texts are UTF-8, all errors RFC 9457."
LANGUAGE_PARAMETER = {
    "name": LANGUAGE,
    "in": "query",
    "required": False,
    "description": "Language of error messages, and of the pages that addresses lead to; one of the shop's.",
    "schema": {"type": "string", "enum": ["en", "de", "fr"], "default": "en"},
}
IDEMPOTENCY_PARAMETER = {
    "name": idempotency.HEADER,
    "in": "header",
    "required": False,
    "description": "With an API key: a repetition of this request within a day gets the same answer.",
    "schema": {"type": "string", "minLength": 1, "maxLength": idempotency.MAX_LENGTH, "pattern": "^[ -~]+$"},
}
SECURITY = "key"
KEYS = "A key of the API; each operation names the scope that it needs."
_PHOTO = {"type": "string", "contentMediaType": "image/*", "format": "binary"}
_PATH_VARIABLE = re.compile(r"<(?:(\w+):)?(\w+)>")


@blueprint.get("/openapi.json")
def show_document() -> dict[str, Any]:
    """Return the document, with the address at which this server is reached."""
    return {**document(), "servers": [{"url": absolute_url("shop.home").rstrip("/") or "/"}]}


@blueprint.get("/docs")
def show_docs() -> str:
    """Show the document as a page."""
    found = document()
    return render_template(
        "api_docs.html",
        document=found,
        schemas=found["components"]["schemas"],
        type_of=_type_of,
        without_key=services().settings.search_without_key,
    )


@cache
def document() -> dict[str, Any]:
    """Return the OpenAPI 3.1 document without servers."""
    schemas = _schemas()
    paths: dict[str, dict[str, Any]] = {}
    for found in OPERATIONS:
        path = PREFIX + _PATH_VARIABLE.sub(r"{\2}", found.path)
        paths.setdefault(path, {})[found.method.lower()] = _entry(found)
    return {
        "openapi": "3.1.0",
        "info": {"title": "vsearch", "version": version("vsearch"), "description": DESCRIPTION},
        "paths": paths,
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "securitySchemes": {SECURITY: {"type": "http", "scheme": "bearer", "description": KEYS}},
        },
    }


def _schemas() -> dict[str, Any]:
    models: list[tuple[type[BaseModel], JsonSchemaMode]] = [(Problem, "serialization")]
    for found in OPERATIONS:
        models += [(found.body, "validation")] if found.body else []
        models += [(found.answer, "serialization")] if found.answer else []
    schemas: dict[str, Any] = models_json_schema(list(dict.fromkeys(models)), ref_template=REFERENCE)[1]["$defs"]
    return schemas


def _entry(found: Operation) -> dict[str, Any]:
    entry: dict[str, Any] = {"operationId": found.name, "summary": found.summary}
    entry["security"] = [{SECURITY: [found.scope]}, *([{}] if found.public else [])]
    if found.description:
        entry["description"] = " ".join(found.description.split())
    query = _query_parameters(found.query) if found.query else ()
    entry["parameters"] = [*_path_parameters(found.path), *query, LANGUAGE_PARAMETER]
    if found.method == "POST":
        entry["parameters"].append(IDEMPOTENCY_PARAMETER)
    if content := _body(found):
        entry["requestBody"] = {"required": True, "content": content}
    success: dict[str, Any] = {"description": HTTPStatus(found.status).phrase}
    if found.answer:
        success["content"] = {"application/json": {"schema": _reference(found.answer)}}
    not_modified = {"304": {"description": HTTPStatus(304).phrase}} if found.method == "GET" else {}
    problem = {"application/problem+json": {"schema": _reference(Problem)}}
    entry["responses"] = (
        {str(found.status): success}
        | not_modified
        | {
            str(status): {"description": HTTPStatus(status).phrase, "content": problem}
            for status in sorted({*COMMON_PROBLEMS, *found.problems, *((409,) if found.method == "POST" else ())})
        }
    )
    return entry


def _body(found: Operation) -> dict[str, Any]:
    if found.photo:
        form = {"type": "object", "properties": {"photo": _PHOTO}, "required": ["photo"]}
        return {"multipart/form-data": {"schema": form}, "image/jpeg": {"schema": _PHOTO}}
    return {"application/json": {"schema": _reference(found.body)}} if found.body else {}


def _path_parameters(path: str) -> Iterator[dict[str, Any]]:
    for converter, name in _PATH_VARIABLE.findall(path):
        schema = {"type": "integer", "minimum": 0} if converter == "int" else {"type": "string", "minLength": 1}
        yield {"name": name, "in": "path", "required": True, "schema": schema}


def _query_parameters(model: type[BaseModel]) -> Iterator[dict[str, Any]]:
    schema = model.model_json_schema(ref_template=REFERENCE)
    for name, field in schema["properties"].items():
        found = _without_null(field)
        parameter = {"name": name, "in": "query", "required": name in schema.get("required", ())}
        if name == "attributes":
            found = {"type": "object", "propertyNames": {"pattern": f"^{re.escape(ATTRIBUTE)}."}}
            found["additionalProperties"] = {"type": "string"}
            parameter |= {"style": "form", "explode": True}
        if description := field.get("description"):
            parameter["description"] = " ".join(description.split())
        yield {**parameter, "schema": found}


def _without_null(field: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of a query parameter, which is left out rather than null."""
    kept = {name: value for name, value in field.items() if name not in ("title", "description", "default", "anyOf")}
    if field.get("default") is not None:
        kept["default"] = field["default"]
    types = [each for each in field.get("anyOf", ()) if each.get("type") != "null"]
    return {**kept, **types[0]} if len(types) == 1 else {**kept, **({"anyOf": types} if types else {})}


def _reference(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": REFERENCE.format(model=model.__name__)}


def _type_of(schema: Mapping[str, Any]) -> str:
    """Return a short name of the type of a schema."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "anyOf" in schema:
        return " or ".join(_type_of(each) for each in schema["anyOf"])
    if "enum" in schema or "const" in schema:
        return " | ".join(map(str, schema.get("enum", [schema.get("const")])))
    if schema.get("type") == "array":
        return f"list of {_type_of(schema.get('items', {}))}"
    if schema.get("type") == "object" and isinstance(schema.get("additionalProperties"), Mapping):
        return f"object of {_type_of(schema['additionalProperties'])}"
    return str(schema.get("type", "any"))
