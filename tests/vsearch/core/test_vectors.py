import numpy as np

from vsearch.core.vectors import l2_normalize


def test_vectors_get_unit_length():
    unit = l2_normalize([[3.0, 4.0], [0.0, 0.0]])
    np.testing.assert_allclose(unit, [[0.6, 0.8], [0.0, 0.0]], rtol=1e-6)
    assert unit.dtype == np.float32
