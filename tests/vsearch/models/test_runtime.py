import subprocess
import sys

import numpy as np
import pytest

from vsearch.core.errors import CheckpointMismatch
from vsearch.models import checkpoint, runtime
from vsearch.models.encoder import open_trunk
from vsearch.models.runtime import Network, choose_precision
from vsearch.models.weights import read_arrays


def test_the_converter_does_not_report_its_use() -> None:
    code = "import vsearch.models.runtime; from openvino.tools.ovc.telemetry_utils import tm; print(tm.__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "openvino.tools.ovc.telemetry_stub"


def test_a_precision_that_the_cpu_lacks_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "supported_precisions", lambda: ("f32",))
    assert choose_precision("auto") == "f32"
    lite = checkpoint.bundled() / f"efficientnet_lite0{checkpoint.TRUNK_GRAPH}"
    with pytest.raises(CheckpointMismatch, match="VSEARCH_PRECISION=f32"):
        Network(read_arrays(lite), [], "efficientnet_lite0", "bf16")
    with pytest.raises(CheckpointMismatch, match="do not fit"):
        Network(read_arrays(lite), [], "efficientnet_lite0")


def test_results_do_not_depend_on_the_number_of_images() -> None:
    """They are computed in several batches, on several streams, and stay in order."""
    trunk = open_trunk(checkpoint.load(checkpoint.bundled()), "efficientnet_lite0")
    images = np.random.default_rng(0).integers(0, 256, (21, trunk.side, trunk.side, 3)).astype(np.uint8)
    together = trunk.run(images)["efficientnet_lite0"]
    alone = np.concatenate([trunk.run(image[None])["efficientnet_lite0"] for image in images])
    np.testing.assert_allclose(together, alone, atol=1e-3)
