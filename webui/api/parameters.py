"""The criteria of a search, from the parameters of a request."""

from webui.api.operations import ATTRIBUTE
from webui.api.schemas import SearchParameters
from webui.criteria import Criteria, from_query
from webui.errors import InvalidFields
from webui.services import services


def criteria_of(parameters: SearchParameters) -> Criteria:
    """Return the criteria of a search.

    Raises:
        InvalidRequest: one is not valid.
    """
    given = parameters.model_dump(by_alias=True, exclude_none=True, exclude={"attributes", "photo", "sku", "image"})
    values = {name: value if isinstance(value, list) else str(value) for name, value in given.items()}
    values |= {ATTRIBUTE + name: chosen for name, chosen in (parameters.attributes or {}).items()}
    values = {name: value for name, value in values.items() if value != []}  # any value
    if controls := [name for name, value in values.items() if "\0" in f"{name}{value}"]:
        raise InvalidFields([(name.replace("\0", ""), "it must not contain NUL characters") for name in controls])
    return from_query(values, services().catalog.currencies())
