"""What the commands open before they start: the live engine, or a checkpoint where nothing is published yet."""

from dataclasses import dataclass

from indexer.build.run import shop_checkpoint
from vsearch.core.settings import Settings
from vsearch.detection.detector import open_bundled
from vsearch.index import generation as generations
from vsearch.models.checkpoint import Checkpoint
from vsearch.models.encoder import Encoder, open_encoder
from vsearch.models.whitening import Whitening
from vsearch.search.engine import Engine


@dataclass(frozen=True)
class Model:
    """An encoder with the checkpoint it came from, and the whitening to project with."""

    encoder: Encoder
    checkpoint: Checkpoint
    whitening: Whitening
    origin: str


def open_engine(settings: Settings) -> Engine:
    """Load the live generation.

    Raises:
        NoGeneration: nothing is published yet.
        VSearchError: it cannot be loaded, and why.
    """
    engine = Engine(settings, open_detector=open_bundled)
    engine.refresh()
    if engine.problem is not None:
        raise engine.problem
    return engine


def open_model(settings: Settings) -> Model:
    """Open the live generation's model; where there is none, the configured checkpoint or the bundled one.

    Raises:
        CheckpointError: the checkpoint cannot be used.
    """
    if generations.current_id(settings.generations) is not None:
        serving = open_engine(settings).serving
        live = serving.generation
        return Model(serving.encoder, serving.checkpoint, live.whitening, f"generation {live.generation_id}")
    checkpoint = shop_checkpoint(settings, None)
    return Model(open_encoder(checkpoint), checkpoint, checkpoint.whitening, f"checkpoint {checkpoint.checkpoint_id}")
