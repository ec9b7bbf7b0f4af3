"""Version 1 of the JSON API (docs/api.md): start with `operations`; each other module is one subject."""

from webui.api import catalog, cross_origin, jobs, models, openapi, photos, search
from webui.api.operations import blueprint

__all__ = ["blueprint", "catalog", "cross_origin", "jobs", "models", "openapi", "photos", "search"]
