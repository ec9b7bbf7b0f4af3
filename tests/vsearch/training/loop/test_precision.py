"""Which numbers a network computes with."""

from pathlib import Path

import pytest

from vsearch.training.loop.precision import policy


def test_what_the_plan_names_is_taken() -> None:
    """Only auto looks at the machine."""
    assert policy("mixed_float16") == "mixed_float16"


@pytest.mark.keras
@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("fpu avx2 avx512f avx512_bf16", "mixed_bfloat16"),
        ("fpu avx2 amx_bf16 amx_tile", "mixed_bfloat16"),
        ("fpu avx2 avx512f", "float32"),
    ],
)
def test_auto_takes_half_precision_where_it_is_built_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: str, expected: str
) -> None:
    """Imitated, it is slower than single precision."""
    import tensorflow as tf

    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [])
    (tmp_path / "cpuinfo").write_text(f"processor : 0\nflags : {flags}\n")

    assert policy("auto", cpuinfo=tmp_path / "cpuinfo") == expected


@pytest.mark.keras
@pytest.mark.parametrize(("capability", "expected"), [((7, 5), "float32"), ((9, 0), "mixed_bfloat16")])
def test_auto_asks_the_gpu_where_there_is_one(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], expected: str
) -> None:
    """From compute capability 8 on they have it."""
    import tensorflow as tf

    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["a GPU"])
    monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda gpu: {"compute_capability": capability})

    assert policy("auto") == expected
