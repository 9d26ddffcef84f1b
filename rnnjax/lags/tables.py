"""The findings of `lags.measure` as tables."""

import math
from collections.abc import Iterator

from rich.table import Table

from rnnjax.screen import make_table


def tables(found: dict, lags: int) -> Iterator[Table | str]:
    """Tables and lines about one network, one by one."""
    norm, truncation = found["gradient_norm"], found["truncation"]
    columns = ("lag k", "|dL_t/dh_(t-k)|", "keep k steps", "relative bias", "cosine")
    table = make_table("the gradient against the lag, and truncation after as many steps", *columns, words=0)
    for k in marks(lags):
        kept = (f"{k}", f"{truncation['bias'][k - 1]:.2e}", f"{truncation['cosine'][k - 1]:.4f}") if k else ("", "", "")
        table.add_row(f"{k}", f"{norm['mean'][k]:.2e}", *kept)
    yield table

    wanted, K = found["wanted"], lags + 1
    answer = f"{wanted['k']} steps" if wanted["k"] else f"more than {K} steps, the longest history that all losses have"
    yield f"a bias of at most {wanted['bias']:g} needs {answer}"
    yield f"the parts of all lags sum to the gradient of BPTT, but for {found['parts_against_bptt']:.0e} of it"

    exponents, error = found["lyapunov"]["exponents"], found["lyapunov"]["standard_error"]
    margin = "" if math.isnan(error[0]) else f" +- {error[0]:.3f}"
    above = int((exponents > 0).sum())
    yield (
        f"Lyapunov exponents, {len(exponents)} of {found['lyapunov']['state']}: the largest is "
        f"{exponents[0]:+.3f}{margin} nats per step, {above} above 0"
    )

    sizes = ("spectral radius", "largest singular value")
    table = make_table("recurrent weights, by layer", "layer", "block", *sizes, words=2)
    for layer, name, *values in found["recurrent_weights"]:
        table.add_row(f"{layer}", name, *(f"{value:.3f}" for value in values))
    yield table

    title = "units near the end of their range (gate < 0.01 or > 0.99, |tanh| > 0.99, relu at 0)"
    table = make_table(title, "layer", "unit", "low end", "high end", words=2)
    for layer, name, *shares in found["saturation"]:
        table.add_row(f"{layer}", name, *map(percent, shares))
    yield table


def summary(found: dict) -> str:
    """Line about a network of the comparison."""
    longest, wanted = len(found["gradient_norm"]["mean"]), found["wanted"]
    return (
        f"{found['name']}: {character(found)}; a bias of {wanted['bias']:g} needs "
        f"{wanted['k'] or f'more than {longest}'} steps; largest exponent {found['lyapunov']['exponents'][0]:+.3f}"
    )


def character(found: dict) -> str:
    """Kind of a network by its gradient at the longest lag, relative to lag 0: vanishing < 1/1,000, exploding > 10."""
    mean = found["gradient_norm"]["mean"]
    left = mean[-1] / mean[0] if mean[0] else 0.0
    kind = "vanishing" if left < 1e-3 else "exploding" if left > 10 else "healthy"
    return f"{kind} (gradient at lag {len(mean) - 1}: {left:.1g} times that at lag 0)"


def marks(last: int) -> list[int]:
    """0, 1, 2, 4, … and the last."""
    return [0, *(2**i for i in range(last.bit_length()) if 2**i < last), last]


def percent(share: float) -> str:
    return "-" if math.isnan(share) else f"{100 * share:.1f}%"
