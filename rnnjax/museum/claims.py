"""Claims of a table of trials: the share that succeeds, and the mean of the sequences that they take."""

from rnnjax.museum import lstm_1997
from rnnjax.museum.exhibit import Criterion, Published


def claims(
    arm: str,
    mean: float,
    budget: float,
    place: str,
    share: float | None = None,
    measures: tuple[str, str] = ("solved", "sequences"),
    about: str = "",
    reading: str = "",
) -> tuple[Criterion, Criterion]:
    """Trials of an arm succeed as a rule, and take about the paper's mean.

    Args:
      mean: the paper's, in the table at `place`.
      budget: after it a trial is given up.
      share: the share of the paper's trials that succeed, where the table has one.
      measures: names of success and of the sequences until then; up to a comma the second is the unit.
      about: the first words of the claims, if not the arm.
      reading: the arm's reading of the paper, if the end of its name does not say it.
    """
    (solved, taken), (low, high) = measures, near(mean)
    about, reading, unit = about or arm, reading or lstm_1997.reading(arm), taken.split(",")[0]
    to_share, to_mean = None if share is None else Published(share, place), Published(mean, place)
    succeed, until = f"{about}: share of trials that succeed", f"{about}: mean {unit} until then"
    return (
        Criterion(succeed, arm, solved, least_share(mean, budget), published=to_share, reading=reading),
        Criterion(until, arm, taken, low, high, published=to_mean, until=True, reading=reading),
    )


def afterwards(arm: str, measure: str, low: float, high: float, published: Published) -> Criterion:
    """The claim on a measure of trials that have succeeded, such as the new sequences that they answer wrongly."""
    reading = lstm_1997.reading(arm)
    return Criterion(f"{arm}: {measure} afterwards", arm, measure, low, high, published=published, reading=reading)


def tested(arm: str, mean: float, wrong: int, budget: float, place: str) -> tuple[Criterion, ...]:
    """The claims on an arm whose trials are tested afterwards: they answer nearly all new sequences rightly."""
    then = afterwards(arm, "wrong of 2,560", 0, 10, Published(wrong, place))
    return (*claims(arm, mean, budget, place), then)


def near(value: float) -> tuple[float, float]:
    """Two thirds of a number, and one and a half of it, to three digits."""
    return float(f"{value / 1.5:.3g}"), float(f"{value * 1.5:.3g}")


def least_share(mean: float, budget: float) -> float:
    """The share of trials that is to succeed within `budget` sequences, where the paper's take `mean`: 0.85.

    Trials that are given up before two and a half means have passed need not come so far; Markov's inequality promises
    1 - mean / budget.
    """
    return 0.85 if budget >= 2.5 * mean else max(0.0, round(1 - mean / budget, 2))
