"""The result of a network on series: its answers in the units of the file, beside naive baselines."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from rnnjax.config import Config
from rnnjax.data import naive
from rnnjax.data.known.problem import Sequence
from rnnjax.data.parts import Part, Parts
from rnnjax.data.scaling import Scaling
from rnnjax.data.series import Names, Series
from rnnjax.tasks.song_pieces import count_pairs
from rnnjax.tasks.task import Conclusion
from rnnjax.training.examples import in_blocks
from rnnjax.training.state import TrainState

Array = jax.Array

DRAWN = 300
"""Most steps in the picture of a forecast."""


def said(loss: str, out: np.ndarray, targets: Scaling | None) -> np.ndarray:
    """Turns outputs `[..., V]` into answers `[..., V]`: numbers in the units of the file, or probabilities."""
    out = np.asarray(out, np.float64)
    if loss == "squared_error":
        return out if targets is None else targets.unscale(out)
    if loss == "bernoulli":
        return 1 / (1 + np.exp(-out))
    odds = np.exp(out - out.max(axis=-1, keepdims=True))
    return odds / odds.sum(axis=-1, keepdims=True)


def decided(loss: str, answers: np.ndarray) -> np.ndarray:
    """Turns answers into decisions: numbers as they are, the likeliest class `[...]`, or each label as 0 or 1."""
    if loss == "squared_error":
        return answers
    return np.argmax(answers, axis=-1) if loss == "cross_entropy" else (answers > 0.5).astype(float)


def truth_of(parts: Parts, part: Part) -> np.ndarray:
    """The targets that count in a part, in the units of the file `[answers, K]`, or as classes `[answers]`."""
    y = np.asarray(part.rows.y)[part.counted]
    return y if parts.targets is None else parts.targets.unscale(y.astype(np.float64))


def scores(loss: str, truth: np.ndarray, answer: np.ndarray, parts: Parts) -> dict[str, Any]:
    """Scores answers against the truth.

    Returns:
      For numbers: rmse and mae of each target in its unit, and nrmse, √ of the mean over the targets of (rmse / the
      training part's deviation)². For classes: accuracy. For labels: accuracy, and exact, the share of answers whose
      labels are all right.
    """
    if loss != "squared_error":
        right = truth == answer
        exact = {"exact": float(np.mean(right.all(axis=-1)))} if loss == "bernoulli" else {}
        return {"accuracy": float(np.mean(right)), **exact}
    off = answer - truth
    rmse = np.sqrt(np.mean(np.square(off), axis=0))
    relative = rmse if parts.targets is None else rmse / parts.targets.deviation
    nrmse = float(np.sqrt(np.mean(np.square(relative))))
    return {"nrmse": nrmse, "rmse": rmse.tolist(), "mae": np.mean(np.abs(off), axis=0).tolist()}


def naive_answers(config: Config, series: Series, parts: Parts, part: Part) -> dict[str, np.ndarray]:
    """Answers of the naive baselines where an answer counts, by name."""
    loss, train = config.task.series_loss, truth_of(parts, parts.of.train)
    if loss == "cross_entropy":
        found = naive.most_frequent(train, part)
    elif loss == "bernoulli":
        found = naive.usual_labels(train, part)
    else:
        found = naive.mean_of(train, part)
    if config.task.name == "forecasting":
        found |= naive.later_values(series, part, config.ahead, config.data.season)
    return {name: answer[part.counted] for name, answer in found.items()}


def level(config: Config, series: Series, parts: Parts) -> dict[str, float]:
    """Loss of the best naive baseline on the validation part, in the unit of the loss, by name."""
    part, loss = parts.of.validation, config.task.series_loss
    if part is None:
        return {}
    train, truth = truth_of(parts, parts.of.train), truth_of(parts, part)
    if loss == "cross_entropy":
        found = {"the classes' frequencies": naive.frequencies_loss(train, truth, series.names.outputs)}
    elif loss == "bernoulli":
        found = {"the labels' frequencies": naive.usual_labels_loss(train, truth)}
    else:
        answers = naive_answers(config, series, parts, part)
        K = len(series.names.targets)  # the loss is a sum over the targets, of which nrmse² is the mean
        found = {name: K * scores(loss, truth, answer, parts)["nrmse"] ** 2 for name, answer in answers.items()}
    best = min(found, key=found.__getitem__)
    return {f"{best}: {found[best]:#.4g}": found[best]}


def score(
    config: Config,
    series: Series,
    parts: Parts,
    outputs: Callable[..., Array],
    state: TrainState,
    which: str,
    rows: Sequence,
) -> Conclusion:
    """Scores the network and the baselines on a part, and keeps the network's predictions there."""
    loss, names, part = config.task.series_loss, series.names, getattr(parts.of, which)
    out = in_blocks(outputs, state.params, state.hyper, rows)
    answers = said(loss, out[part.counted], parts.targets)
    truth, answer = truth_of(parts, part), decided(loss, answers)
    others = naive_answers(config, series, parts, part)
    result: dict[str, Any] = {"count": len(truth), "targets": names.targets, "labels": names.labels}
    result["network"] = scores(loss, truth, answer, parts)
    result["baselines"] = {name: scores(loss, truth, other, parts) for name, other in others.items()}
    if loss == "cross_entropy":
        result["confusion"] = count_pairs(truth, answer, names.outputs).tolist()
    elif loss == "squared_error":
        result["drawn"] = drawn(config, names, part, truth, answer)
    return Conclusion(result, tell(config, series, part, truth, answers))


def tell(config: Config, series: Series, part: Part, truth: np.ndarray, answers: np.ndarray) -> list[dict[str, Any]]:
    """Lines of predictions.jsonl, one for each answer that counts.

    Each has the series, the step of the target (from 0), the truth, and the prediction, for a class with its
    probability.
    """
    names = series.names
    lines = []
    for n, t, true, given in zip(*np.nonzero(part.counted), truth, answers, strict=True):
        line: dict[str, Any] = {"series": series.keys[part.series[n]]}
        if names.each_step:
            line["step"] = int(part.first + t + config.ahead)
        if names.labels is not None:
            best = int(np.argmax(given))
            line |= {"truth": names.labels[true], "predicted": names.labels[best], "probability": float(given[best])}
        else:
            line |= {"truth": named(names, true), "predicted": named(names, given)}
        lines.append(line)
    return lines


def named(names: Names, values: np.ndarray) -> float | dict[str, float]:
    """Names several numbers; a single one stays as it is."""
    told = values.tolist()
    return told[0] if len(told) == 1 else dict(zip(names.targets, told, strict=True))


def write(config: Config, series: Series, parts: Parts, found: tuple[Sequence, np.ndarray]) -> str:
    """Writes a line for the last answer about each row of a sample, with the outputs `[n, T, V]`."""
    _, out = found
    part = parts.of.train if parts.of.validation is None else parts.of.validation
    last = part.counted.shape[1] - 1 - np.argmax(part.counted[: len(out), ::-1], axis=1)
    alone = np.zeros_like(part.counted)
    alone[np.arange(len(out)), last] = True
    part = part._replace(rows=part.rows._replace(weight=alone.astype(float)))
    answers = said(config.task.series_loss, np.asarray(out)[np.arange(len(out)), last], parts.targets)
    shown = lambda value: f"{value:.6g}" if isinstance(value, float) else str(value)
    return "\n".join(
        f"series {line['series']}"
        + (f", step {line['step']}" if "step" in line else "")
        + f": {shown(line['predicted'])}, and it is {shown(line['truth'])}"
        for line in tell(config, series, part, truth_of(parts, part), answers)
    )


def drawn(config: Config, names: Names, part: Part, truth: np.ndarray, answer: np.ndarray) -> dict[str, Any]:
    """Data of the forecast's picture: truth and answers for the first target.

    They are from the first steps of the first series, or from the first whole series.
    """
    row, step = np.nonzero(part.counted)
    found = {"truth": truth[:, 0], "predicted": answer[:, 0]}
    if names.each_step:
        found["step"] = part.first + step + config.ahead
    chosen = np.flatnonzero(row == 0) if names.each_step else np.arange(len(row))
    return {name: values[chosen[:DRAWN]].tolist() for name, values in found.items()}


def loss_unit(config: Config) -> str:
    """Unit of the held-out losses, in words."""
    return "(squared error, scaled)" if config.task.series_loss == "squared_error" else "(nats)"


def score_lines(result: dict[str, Any]) -> list[str]:
    """Lines with the scores of the network and of the baselines."""
    told = {"": result["network"], **result["baselines"]}
    first, *others = (f"{name}: {in_words(result, found)}" for name, found in told.items())
    answers = f"{result['measured']}, {result['count']:,} answers{first}"
    return [answers, *(f"  baseline, {other}" for other in others)]


def in_words(result: dict[str, Any], found: dict[str, Any]) -> str:
    """Scores in one line; for many targets the worst."""
    if "accuracy" in found:
        exact = f", all labels {found['exact']:.2%}" if "exact" in found else ""
        return f"{found['accuracy']:.2%} right{exact}"
    worst = int(np.argmax(found["rmse"]))
    of = f"{result['targets'][worst]}: " if len(found["rmse"]) == 1 else f"worst is {result['targets'][worst]}: "
    return f"NRMSE {found['nrmse']:.4f}; {of}RMSE {found['rmse'][worst]:.5g}, mean error {found['mae'][worst]:.5g}"


def draw(result: dict[str, Any]) -> dict[str, Any]:
    """Draws forecast and truth over time, answers against truth, or the confusion matrix."""
    from rnnjax.tasks.figures import confusion, forecast

    about = f"{result['task']}, {result['measured']} part"
    if "drawn" in result:
        title = f"{about}: NRMSE {result['network']['nrmse']:.3g}"
        return {"forecast.png": forecast(result["drawn"], result["targets"][0], title)}
    if "confusion" not in result:
        return {}
    title = f"{about}: {result['network']['accuracy']:.1%} of {result['count']:,} answers right"
    return {"confusion.png": confusion(result["confusion"], result["labels"], title)}
