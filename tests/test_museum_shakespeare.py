"""The exhibit on tiny Shakespeare, on a text of its own."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnjax.config import Config, DataConfig
from rnnjax.museum.exhibits import shakespeare


def test_a_loss_in_blocks_forgets_what_stood_before_the_block(tmp_path):
    (tmp_path / "text.txt").write_text("ab" * 20_000)
    config = Config(data=DataConfig(path=str(tmp_path / "text.txt"), validation_fraction=0.1, test_fraction=0.0))

    def apply(x):
        """Knows nothing at the first letter of a block, and gives 1/2 to the right letter at each of the others."""
        knows = (jnp.arange(len(x)) > 0)[:, None, None]
        other = jax.nn.one_hot(x[:-1], 4)  # of the letter before, which is the next one too
        return None, jnp.log(3.0) * knows * jnp.concatenate([other[:1], other])

    found = shakespeare.in_blocks(SimpleNamespace(config=config, apply=apply))
    assert found == pytest.approx((np.log(4) + 255 * np.log(2)) / 256, rel=1e-5)


@pytest.mark.slow
def test_a_wrong_dropout_changes_the_outcome(tmp_path, monkeypatch):
    text = "".join(np.random.default_rng(0).choice(list("abcdefgh"), 40)) * 1500
    (tmp_path / "text.txt").write_text(text)
    data = DataConfig(path=str(tmp_path / "text.txt"), validation_fraction=0.1, test_fraction=0.0)
    monkeypatch.setattr(shakespeare, "TEXT", data)
    monkeypatch.setattr(shakespeare, "CHARACTERS", 54_000)
    right, dropped = (
        shakespeare.run(np.array([3]), passes=8, hidden=64, dropout=dropout)["validation loss"][0]
        for dropout in (0.0, 0.95)
    )
    assert right < 0.5 < dropped
