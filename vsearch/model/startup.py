"""Importing TensorFlow without its native libraries' chatter about CPU flags and GPUs that are not there."""

import logging
import os
import sys

_STDERR = 2


def import_tensorflow() -> None:
    """Import TensorFlow and let it find its devices, hiding what native code writes to standard error meanwhile.

    Those lines come before any of TensorFlow's own log settings count. At log level DEBUG nothing is hidden; Python's
    exceptions are never.
    """
    if "tensorflow" in sys.modules or logging.getLogger().isEnabledFor(logging.DEBUG):
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    sys.stderr.flush()
    kept = os.dup(_STDERR)
    try:
        with open(os.devnull, "wb") as nowhere:  # noqa: PTH123  # devnull is no path of ours
            os.dup2(nowhere.fileno(), _STDERR)
        import tensorflow as tf

        tf.config.list_logical_devices()
        # It counts functions by where they are written, and takes one for each network and phase for a mistake.
        logging.getLogger("tensorflow").setLevel(logging.ERROR)
    finally:
        os.dup2(kept, _STDERR)
        os.close(kept)
