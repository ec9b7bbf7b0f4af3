"""Load the engine for a command, or a checkpoint if nothing is published yet."""

from dataclasses import dataclass

from vsearch.core.settings import Settings
from vsearch.detection.detector import open_bundled
from vsearch.index import generation as generations
from vsearch.models import registry
from vsearch.models.checkpoint import Checkpoint
from vsearch.models.encoder import Encoder
from vsearch.models.whitening import Projection
from vsearch.search.engine import Engine


@dataclass(frozen=True)
class Model:
    """An encoder, its checkpoint, and the whitening that projects its blocks."""

    encoder: Encoder
    checkpoint: Checkpoint
    whitening: Projection
    origin: str


def load_engine(settings: Settings) -> Engine:
    """Load the published generation.

    Raises:
        NoGeneration: nothing has been published yet.
        VSearchError: it cannot be loaded.
    """
    engine = Engine(settings, open_detector=open_bundled)
    engine.refresh()
    if engine.problem is not None:
        raise engine.problem
    return engine


def load_model(settings: Settings) -> Model:
    """Load the model of the published generation, or else the configured or bundled checkpoint.

    Raises:
        CheckpointError: the checkpoint cannot be used.
    """
    if generations.current_id(settings.generations) is not None:
        serving = load_engine(settings).serving
        published = serving.generation
        origin = f"generation {published.generation_id}"
        return Model(serving.encoder, serving.checkpoint, published.whitening, origin)
    checkpoint = registry.find(settings, settings.checkpoint or registry.BUNDLED)
    return Model(
        Encoder(checkpoint), checkpoint, checkpoint.retrieval.whitening, f"checkpoint {checkpoint.checkpoint_id}"
    )
