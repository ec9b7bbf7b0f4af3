import subprocess
import sys
from pathlib import Path

FAKE_TENSORFLOW = """
import logging
calls = []

class config:
    def list_physical_devices(kind):
        return [kind + ":0", kind + ":1"] if kind == "GPU" else [kind + ":0"]

    def list_logical_devices():
        calls.append("devices initialized")

    class experimental:
        def set_memory_growth(device, growth):
            calls.append(f"{device} grows: {growth}")
"""


def test_gpu_memory_growth_is_set_before_devices_are_initialized(tmp_path: Path) -> None:
    (tmp_path / "tensorflow.py").write_text(FAKE_TENSORFLOW)
    code = (
        "import sys; from vsearch.models.tensorflow_startup import import_tensorflow; sys.path.insert(0, sys.argv[1]);"
        "import_tensorflow(); import tensorflow; print(tensorflow.calls)"
    )
    found = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "['GPU:0 grows: True', 'GPU:1 grows: True', 'devices initialized']"
