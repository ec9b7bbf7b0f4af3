"""What is recorded of a search that a view has answered: its step timings and its outcome."""

from webui import monitoring
from webui.results import ResultPage
from webui.word_search import WordResults

FOUND, NONE = "found", "none"
"""Instead of the label of the best hit: of a search by words, which gives none, and of one without hits."""

WORDS = "words"
"""The routing of a search by words."""


def record_page(page: ResultPage) -> None:
    """Record a search by photo or product; its further pages count as the same search."""
    monitoring.add_timings(page.timings)
    if page.criteria.page == 1:
        hits = page.result.hits
        monitoring.count_search(hits[0].label if hits else NONE, page.result.routing)


def record_words(found: WordResults) -> None:
    """Record a search by words, in the same way."""
    monitoring.add_timings(found.timings)
    if found.criteria.page == 1:
        monitoring.count_search(FOUND if found.cards else NONE, WORDS)
