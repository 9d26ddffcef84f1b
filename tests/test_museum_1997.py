"""Settings of the exhibits of 1997 that are wrong on purpose: what a right one learns, they do not.

Shorter lags, or more of the numbers that tell the class, make the right ones quick to learn.
"""

import numpy as np
import pytest

from rnnjax.museum.exhibit import load
from rnnjax.museum.judge import REFUTED, judge

pytestmark = pytest.mark.slow


def run(name, arm, seeds=3, **changes):
    """The measures of an arm with other options."""
    exhibit = load(f"lstm_1997_{name}")
    return exhibit.run(np.arange(seeds), **{**exhibit.arms[arm], **changes})


def verdicts(name, arm, found):
    """The verdicts on the criteria of an arm."""
    judgements = judge(load(f"lstm_1997_{name}"), {arm: found})
    return {judged for criterion, _, judged in judgements if criterion.arm == arm}


def test_a_twentieth_of_the_rate_does_not_learn_to_add():
    arm = ("adding", "T = 100, linear output")
    assert run(*arm, T=20, budget=40_000)["wrong at the end"].max() < 100
    assert run(*arm, T=20, budget=10_000, rate=0.025)["wrong at the end"].min() > 2000


def test_a_hundredth_of_the_rate_does_not_learn_to_multiply():
    arm = ("multiplication", "T = 100")
    assert run(*arm, T=20, budget=50_000)["wrong at the end"].max() < 1500
    assert run(*arm, T=20, budget=10_000, rate=0.001)["wrong at the end"].min() > 2000


def test_a_hundredth_of_the_rate_does_not_learn_reber_strings():
    arm = ("reber", "3 x 2, after a symbol")
    right, wrong = (run(*arm, seeds=6, budget=3000, rate=rate)["predictions right"] for rate in (0.5, 0.005))
    assert min(right) > 0.6
    assert max(wrong) < 0.4


def test_sequences_of_noise_alone_refute_that_their_class_is_told():
    arm = ("two_sequences", "3a, N = 3")
    right, wrong = run(*arm, budget=6000, N=100), run(*arm, seeds=5, budget=2000, N=0)
    assert right["solved"].all()
    assert right["share misclassified"].max() < 0.01
    assert verdicts(*arm, wrong) >= {REFUTED}
    assert wrong["difference at the end"].min() > 0.45


def test_sequences_of_noise_alone_do_not_tell_the_mean_of_a_noisy_target():
    right, wrong = (run("noisy_targets", "N = 3", budget=5000, rate=1.0, N=N) for N in (100, 0))
    assert right["difference at the end"].max() < 0.15
    assert wrong["difference at the end"].min() > 0.295


def test_a_hundredth_of_the_rate_refutes_that_a_symbol_is_kept():
    arm = ("long_lags", "q = p = 50")
    short = {"q": 5, "p": 5}
    assert run(*arm, **short, budget=10_000, rate=0.1)["solved"].all()
    assert verdicts(*arm, run(*arm, **short, budget=2_000, rate=0.001)) >= {REFUTED}
