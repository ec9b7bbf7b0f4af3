"""Importing TensorFlow without its native libraries' chatter about CPU flags and GPUs that are not there."""

import ctypes
import logging
import os
import sys

_STDERR = 2

_KEPT_MEMORY = {-1: 2**31 - 1, -2: 2**28, -3: 2**30}
"""glibc's M_TRIM_THRESHOLD, M_TOP_PAD and M_MMAP_THRESHOLD, in bytes."""


def import_tensorflow() -> None:
    """Import TensorFlow and let it find its devices, hiding what native code writes to standard error meanwhile.

    Those lines come before any of TensorFlow's own log settings count. At log level DEBUG nothing is hidden; Python's
    exceptions are never.
    """
    if "tensorflow" in sys.modules or logging.getLogger().isEnabledFor(logging.DEBUG):
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    _keep_freed_memory()
    sys.stderr.flush()
    kept = os.dup(_STDERR)
    try:
        with open(os.devnull, "wb") as nowhere:  # noqa: PTH123  # devnull is no path of ours
            os.dup2(nowhere.fileno(), _STDERR)
        import tensorflow as tf

        for gpu in tf.config.list_physical_devices("GPU"):
            # Else it takes nearly all memory of the card, and FAISS finds none for its indexes.
            tf.config.experimental.set_memory_growth(gpu, True)
        tf.config.list_logical_devices()
        # It counts functions by where they are written, and takes one for each network and phase for a mistake.
        logging.getLogger("tensorflow").setLevel(logging.ERROR)
    finally:
        os.dup2(kept, _STDERR)
        os.close(kept)


def _keep_freed_memory() -> None:
    """Let the process keep the memory of a tensor for the next one.

    glibc hands each large block back to the system, which then fills the next with zeros page by page: a training step
    on 64 pictures took 28,000 page faults, 2,000 with this. Elsewhere than on glibc nothing is changed.
    """
    if sys.platform == "linux":
        change = getattr(ctypes.CDLL(None), "mallopt", None)
        if change is not None:
            for name, value in _KEPT_MEMORY.items():
                change(name, value)
