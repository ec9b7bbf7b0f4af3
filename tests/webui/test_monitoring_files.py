"""The dashboard and the alerts in docs/deploy: every expression is valid, and every metric in it is exported."""

import json
import re
from datetime import timedelta
from pathlib import Path

import promql_parser
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from catalog import jobs
from catalog.models import IndexRun, Job, utc_now
from tests.webui.conftest import import_products

FOLDER = Path(__file__).parents[2] / "docs" / "deploy"
DASHBOARD = json.loads((FOLDER / "grafana-dashboard.json").read_text(encoding="utf8"))
RULES = [
    rule
    for group in yaml.safe_load((FOLDER / "prometheus-rules.yml").read_text(encoding="utf8"))["groups"]
    for rule in group["rules"]
]
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
EXPRESSIONS = [rule["expr"] for rule in RULES] + [target["expr"] for each in PANELS for target in each["targets"]]
INTERVAL = "$__rate_interval"
"""Grafana replaces it by a duration."""

BY_PROMETHEUS = {"up"}


def selectors(expression):
    """Return the metrics that an expression selects, each with the conditions on its labels; ValueError if invalid."""
    found = []

    def visit(node):
        if isinstance(node, promql_parser.VectorSelector):
            found.append((node.name, node.matchers.matchers))

    promql_parser.walk(promql_parser.parse(expression.replace(INTERVAL, "5m")), visit)
    assert found
    return found


@pytest.fixture
def exported(site):
    """The labels of all samples of a server that has been used, by metric."""
    now = utc_now()
    import_products(site)
    with site.sessions.begin() as session:
        for state in ("published", "failed"):
            session.add(IndexRun(state=state, started_at=now - timedelta(hours=1), finished_at=now))
        for state in ("queued", "failed"):
            session.add(Job(kind="train", state=state, arguments={}, created_at=now))
        jobs.record_worker(session, "host:1", now)
    site.client.get(site.upload())
    for path in ("/api/v1/search?text=unheard", "/api/v1/search?sku=P-01"):
        assert site.client.get(path).status_code == 200
    samples = {}
    for family in text_string_to_metric_families(site.operator.get("/metrics").text):
        for sample in family.samples:
            samples.setdefault(sample.name, []).append(sample.labels)
    return samples


def test_expressions_select_exported_metrics(exported):
    """Each condition on a label is met by one of its values, except that no error need have occurred."""
    recorded = {rule["record"] for rule in RULES if "record" in rule}
    for expression in EXPRESSIONS:
        for name, matchers in selectors(expression):
            if name in recorded | BY_PROMETHEUS:
                continue
            assert name in exported, expression
            for matcher in matchers:
                values = [labels[matcher.name] for labels in exported[name] if matcher.name in labels]
                if matcher.name not in ("instance", "job"):
                    assert values, (expression, matcher.name)
                    assert matcher.name == "status" or any(re.fullmatch(matcher.value, value) for value in values), (
                        expression
                    )


def test_every_exported_metric_is_used(exported):
    """What nobody looks at need not be exported; the metrics of the process come with the library."""
    used = {name for expression in EXPRESSIONS for name, _ in selectors(expression)}
    own = {
        name for name in exported if name.startswith("vsearch_") and not name.endswith(("_created", "_sum", "_count"))
    }
    assert own - used <= {"vsearch_worker_seen_timestamp_seconds"}


def test_alerts_say_what_to_do():
    alerts = [rule for rule in RULES if "alert" in rule]
    assert len({rule["alert"] for rule in alerts}) == len(alerts)
    for rule in alerts:
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert set(rule["annotations"]) == {"summary", "action"}


def test_the_dashboard_can_be_imported_anywhere():
    """It names no data source of its own, ids are unique, and panels do not overlap."""
    variables = {variable["name"]: variable for variable in DASHBOARD["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    sources = [each["datasource"] for panel in PANELS for each in (panel, *panel["targets"])]
    assert {source["uid"] for source in sources} == {"${datasource}"}
    assert "id" not in DASHBOARD
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    cells = [
        (x, y)
        for at in (panel["gridPos"] for panel in DASHBOARD["panels"])
        for x in range(at["x"], at["x"] + at["w"])
        for y in range(at["y"], at["y"] + at["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) == 23
