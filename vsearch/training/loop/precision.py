"""Which numbers a network computes with: half as wide where the machine is built for them."""

from pathlib import Path

_BUILT_IN = ("avx512_bf16", "amx_bf16")  # without these bfloat16 is imitated, three times slower than float32


def policy(wanted: str, *, cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Return the name of a Keras precision policy.

    Args:
        wanted: "auto", or a policy to take as it is.
        cpuinfo: what the kernel says of the processor.
    """
    if wanted != "auto":
        return wanted
    import tensorflow as tf

    graphics = [tf.config.experimental.get_device_details(gpu) for gpu in tf.config.list_physical_devices("GPU")]
    if graphics:
        newest = all(details.get("compute_capability", (0, 0)) >= (8, 0) for details in graphics)
        return "mixed_bfloat16" if newest else "float32"
    flags = cpuinfo.read_text(encoding="utf8", errors="replace").split() if cpuinfo.is_file() else []
    return "mixed_bfloat16" if any(flag in flags for flag in _BUILT_IN) else "float32"
