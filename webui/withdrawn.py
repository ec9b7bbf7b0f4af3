"""The pictures of an index that must not be found: those of products withdrawn since it was built."""

from dataclasses import dataclass
from threading import Lock

from sqlalchemy.orm import Session

from catalog import imports, queries
from vsearch.generation import Generation
from vsearch.index import Ids


@dataclass(frozen=True)
class _Known:
    state: tuple[str, int, int]
    image_ids: Ids


class Withdrawn:
    """Remembers the withdrawn pictures of the generation that is served until there is another import.

    A search then asks SQL for one small row; only the first one after an import reads which products are withdrawn.
    """

    def __init__(self) -> None:
        self._known: _Known | None = None
        self._lock = Lock()

    def image_ids(self, session: Session, generation: Generation) -> Ids:
        """Return the image ids of a generation whose products are withdrawn, int64, ascending."""
        # Asked first: products that are withdrawn meanwhile are then read twice, never missed.
        state = (generation.generation_id, *imports.change_count(session))
        with self._lock:  # the others wait for the one that reads
            known = self._known
            if known is None or known.state != state:
                withdrawn = queries.withdrawn_product_ids(session)
                known = self._known = _Known(state, generation.gallery.pictures_of(withdrawn))
        return known.image_ids
