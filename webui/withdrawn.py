"""The pictures of an index that must not be found: those of products withdrawn since it was built."""

from sqlalchemy.orm import Session

from catalog import imports, queries
from vsearch.index.class_index import Ids
from vsearch.index.generation import Generation
from vsearch.search.serving import Latest


class Withdrawn:
    """Remembers the withdrawn pictures of the generation that is served until there is another import.

    A search then asks SQL for one small row; only the first one after an import reads which products are withdrawn.
    """

    def __init__(self) -> None:
        self._known: Latest[Ids] = Latest(1)

    def image_ids(self, session: Session, generation: Generation) -> Ids:
        """Return the image ids of a generation whose products are withdrawn, int64, ascending."""
        # Asked first: products that are withdrawn meanwhile are then read twice, never missed.
        state = (generation.generation_id, imports.change_count(session))
        pictures_of = generation.gallery.pictures_of
        return self._known.get([state], lambda _: [pictures_of(queries.withdrawn_product_ids(session))])[0]
