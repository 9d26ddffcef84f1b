"""The hand-written digits that scikit-learn ships with: 1,797 images of 8 x 8 pixels (Alpaydin & Kaynak, 1998, "Optical
recognition of handwritten digits", UCI repository)."""

import numpy as np

from rnnjax.errors import UserError

SIDE = 8
DARKEST = 16


def load_digits() -> tuple[np.ndarray, np.ndarray]:
    """Images in [0, 1], row by row, float32 [N, 64], and their digits, integer [N].

    Raises:
      UserError: if scikit-learn is not installed.
    """
    try:
        from sklearn import datasets
    except ImportError:
        raise UserError("data.path digits needs an extra: pip install 'rnnjax[digits]'") from None
    images, label = datasets.load_digits(return_X_y=True)
    return (images / DARKEST).astype(np.float32), label.astype(np.int32)
