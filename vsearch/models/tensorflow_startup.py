"""Import TensorFlow without its native libraries' messages about CPU flags and missing GPUs."""

import logging
import os
import sys
from importlib.util import find_spec

from vsearch.core.errors import TrainingUnavailable

_STDERR = 2


def import_tensorflow() -> None:
    """Import TensorFlow and initialize its devices, discarding what native code writes to standard error.

    These messages appear before TensorFlow's log settings apply. At log level DEBUG, nothing is discarded.

    Raises:
        TrainingUnavailable: TensorFlow is not installed.
    """
    if find_spec("tensorflow") is None:
        raise TrainingUnavailable(
            "This needs TensorFlow, which is not installed: run `pip install 'vsearch[train]'` first."
        )
    if "tensorflow" in sys.modules or logging.getLogger().isEnabledFor(logging.DEBUG):
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    sys.stderr.flush()
    stderr = os.dup(_STDERR)
    try:
        with open(os.devnull, "wb") as devnull:  # noqa: PTH123
            os.dup2(devnull.fileno(), _STDERR)
        import tensorflow as tf

        for gpu in tf.config.list_physical_devices("GPU"):
            # The default allocates nearly all memory of the card and leaves none to FAISS.
            tf.config.experimental.set_memory_growth(gpu, True)
        tf.config.list_logical_devices()
        # It counts functions by source location, and wrongly warns about retracing if there are several networks.
        logging.getLogger("tensorflow").setLevel(logging.ERROR)
    finally:
        os.dup2(stderr, _STDERR)
        os.close(stderr)
