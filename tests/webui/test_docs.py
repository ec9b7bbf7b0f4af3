import json
import re
from pathlib import Path

from vsearch.imaging.geometry import Box
from webui.criteria import Criteria
from webui.errors import STATUSES

API = (Path(__file__).parents[2] / "docs" / "api.md").read_text(encoding="utf8")


def test_example_response_has_the_fields_of_a_real_one(site):
    """So that docs/api.md is complete."""
    (example,) = (json.loads(text) for text in re.findall(r"```json\n(.*?)```", API, re.DOTALL) if "results" in text)
    answer = site.client.post("/api/v1/search", data=site.photo(0)).get_json()

    assert list(example) == list(answer)
    assert list(example["results"][0]) == list(answer["results"][0])
    assert set(example["timings_ms"]) == set(answer["timings_ms"])


def test_every_field_parameter_and_status_is_documented(client):
    for name in client.get("/api/v1/products/P-04").get_json():
        assert f'"{name}"' in API or f"`{name}`" in API, name
    for name in Criteria(Box(0, 0, 1, 1), "all", "euclidean", "oak", 1, 2, True, 2, True, "12345678").query():
        assert f"`{name}`" in API, name
    for error, status in STATUSES.items():
        assert f"| {status} |" in API, error
