"""What is recorded of an answered search: its step timings, its outcome and, if wanted, an entry in the query log."""

import re
from typing import Any

from catalog.models import utc_now
from catalog.query_log import By, NewQuery
from vsearch.models.class_heads import CLASS
from vsearch.search.engine import ALL
from webui import monitoring
from webui.criteria import Criteria
from webui.languages import language
from webui.results import ResultPage
from webui.services import services
from webui.word_search import WordResults

FOUND, NONE = "found", "none"
"""Instead of the label of the best hit: of a search by words, which gives none, and of one without hits."""

WORDS: By = "words"
"""The kind of a search by words, and its routing."""

QUERY_ID = re.compile("[0-9a-f]{16}")


def record_page(page: ResultPage) -> str:
    """Record a search by photo or product; its further pages count as the same search.

    Returns:
        The random id of the search in the query log; "" if it is not logged.
    """
    monitoring.add_timings(page.timings)
    if page.criteria.page > 1:
        return ""
    result, hits = page.result, page.result.hits
    monitoring.count_search(hits[0].label if hits else NONE, result.routing)
    best = hits[0] if hits else None
    return _log_query(
        page.criteria,
        kind="photo" if result.predictions is not None else "product",
        predicted=result.predictions.vote(CLASS)[0] if result.predictions is not None else "",
        classes=() if result.routing == "all" else result.classes,
        shown=len(page.matches),
        close=len(page.close),
        label=best.label if best else "",
        score=round(best.score, 4) if best else None,
        generation_id=result.generation_id,
        milliseconds=round(sum(page.timings.values())),
    )


def record_words(found: WordResults) -> None:
    """Record a search by words, in the same way."""
    monitoring.add_timings(found.timings)
    if found.criteria.page > 1:
        return
    monitoring.count_search(FOUND if found.cards else NONE, WORDS)
    _log_query(
        found.criteria,
        kind=WORDS,
        classes=found.classes if found.criteria.class_name not in ("", ALL) else (),
        shown=len(found.cards),
        generation_id=found.generation_id,
        milliseconds=round(sum(found.timings.values())),
    )


def record_verdict(query_id: str, verdict: str) -> None:
    """Record that a shopper gave a verdict on a result of a logged search; other ids are ignored."""
    if QUERY_ID.fullmatch(query_id):
        services().query_log.note_verdict(query_id, verdict)


def _log_query(criteria: Criteria, **found: Any) -> str:
    if not services().query_log.is_on:
        return ""
    hour = utc_now().replace(minute=0, second=0, microsecond=0)
    words = " ".join(criteria.text.casefold().split())
    query = NewQuery(hour=hour, words=words, filters=_filters(criteria), language=language(), **found)
    services().query_log.add(query)
    return query.query_id


def _filters(criteria: Criteria) -> list[str]:
    """Return the names of the filters in use that the catalog has: others come from the address and can be anything."""
    filters, facets = criteria.filters, services().catalog.facets(services().engine.serving.generation).facets
    used = {
        "class": bool(criteria.class_name),
        "box": criteria.box is not None,
        "price": filters.price_min is not None or filters.price_max is not None,
        "stock": filters.in_stock,
        "width": filters.width_max is not None,
        **{name: name in facets for name, _ in filters.chosen},
    }
    return [name for name, is_used in used.items() if is_used]
