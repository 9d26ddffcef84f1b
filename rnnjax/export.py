"""Writes a run's weights for another library: python -m rnnjax.export --run runs/lyrics --format torch --verify.

torch is a state_dict of PyTorch, flax a msgpack of the params of linen cells; safetensors is this package's own layout.
The ways back are `rnnjax.interop.torch.load`, `.flax.load` and `.safetensors.load`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from jsonargparse import Namespace

from rnnjax.cli import add_run, make_parser, run
from rnnjax.errors import UserError

if TYPE_CHECKING:  # late where it runs, so that --help and a wrong option answer at once
    from rnnjax.trained import Trained

DISAGREE = 1

EXTENSIONS = {"torch": "pt", "flax": "msgpack", "safetensors": "safetensors"}

TOLERANCE = {"float64": 1e-10, "float32": 1e-4}
"""Largest difference between outputs that --verify allows, as a share of the largest output."""

VERIFIED = (64, 8)
"""Steps and streams of the random ids that --verify reads."""


def main(argv: list[str] | None = None) -> int:
    parser = make_parser("export", __doc__)
    add_run(parser)
    parser.add_argument("--format", type=str, required=True, help="torch, flax, or safetensors")
    parser.add_argument("--out", type=str, default=None, help="the file to write; by default weights.* in the run")
    parser.add_argument(
        "--verify", action="store_true", help="run the file in the library itself, and print the largest difference"
    )
    options = parser.parse_args(argv)
    if options.format not in EXTENSIONS:
        raise UserError(f"--format is {options.format!r}, but must be one of {', '.join(EXTENSIONS)}")
    return export(options)


def export(options: Namespace) -> int:
    """Writes the file and names it on the screen. Returns the exit code."""
    from rnnjax.run.device import set_up
    from rnnjax.trained import load_trained, read_config

    path = Path(options.run)
    config = read_config(path)
    set_up("cpu", config.run.precision, compilation_cache=config.run.compilation_cache)
    trained = load_trained(path, options.checkpoint, config)
    out = Path(options.out) if options.out else path / f"weights.{EXTENSIONS[options.format]}"
    write(options.format, out, trained)
    units = f"{trained.model.layers} x {trained.model.hidden} {trained.model.cell.name} units"
    print(f"{out}: {out.stat().st_size:,} bytes, {units} of step {trained.step:,}")
    if options.format != "safetensors":
        print(f"the characters of its ids are in {path / 'vocabulary.json'}")
    return verify(options.format, out, trained) if options.verify else 0


def write(name: str, path: Path, trained: Trained) -> None:
    """Writes the weights in a format."""
    from rnnjax import interop

    if name == "safetensors":
        network = interop.safetensors.Network(
            trained.model, trained.params, trained.hyper, trained.vocabulary.characters
        )
        return interop.safetensors.save(path, network)
    return getattr(interop, name).save(path, trained.model, trained.params)


def verify(name: str, path: Path, trained: Trained) -> int:
    """Prints the largest difference between our outputs and those of the library that reads the file.

    Returns:
      The exit code: 1 where they disagree.
    """
    import jax.numpy as jnp
    import numpy as np

    from rnnjax import interop
    from rnnjax.model.network import Batch, initial_carry
    from rnnjax.model.rnn import apply

    model, params = trained.model, trained.params
    ids = np.random.default_rng(0).integers(model.vocabulary, size=VERIFIED, dtype=np.int32)
    batch = Batch(jnp.asarray(ids), jnp.asarray(ids))
    _, ours = apply(model, params, trained.hyper, initial_carry(model, params, ids.shape[1:]), batch)
    theirs = (
        interop.safetensors.logits(path, ids)
        if name == "safetensors"
        else getattr(interop, name).logits(path, model, ids)
    )
    difference, largest = float(np.abs(theirs - ours).max()), float(np.abs(ours).max())
    agrees = difference <= TOLERANCE[params.V.dtype.name] * largest
    print(
        f"largest difference of the logits over {VERIFIED[0]} x {VERIFIED[1]} random characters: {difference:.1e}, "
        f"where the largest is {largest:.1f}: {'they agree' if agrees else 'they DISAGREE'}"
    )
    return 0 if agrees else DISAGREE


if __name__ == "__main__":
    run(main)
