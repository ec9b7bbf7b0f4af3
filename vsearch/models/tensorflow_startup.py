"""Import TensorFlow without its native libraries' messages about CPU flags and missing GPUs; compile networks."""

import logging
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

_STDERR = 2


def import_tensorflow() -> None:
    """Import TensorFlow and initialize its devices, discarding what native code writes to standard error.

    These messages appear before TensorFlow's log settings apply. At log level DEBUG, nothing is discarded.
    """
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


def compile_network(
    network: Callable[[Any], Mapping[str, Any]], shape: tuple[int, ...]
) -> Callable[[NDArray[np.uint8]], Mapping[str, Any]]:
    """Compile a function of a float32 tensor [n, *shape] that returns tensors by name; the result takes uint8 images.

    The weights become constants, so TensorFlow merges batch normalization into convolutions, which is a third faster.
    """
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    signature = [tf.TensorSpec((None, *shape), tf.uint8)]
    run = tf.function(lambda images: network(tf.cast(images, tf.float32)), input_signature=signature)
    traced = run.get_concrete_function()
    names, frozen = sorted(traced.structured_outputs), convert_variables_to_constants_v2(traced)
    return lambda images: dict(zip(names, frozen(tf.constant(images)), strict=True))
