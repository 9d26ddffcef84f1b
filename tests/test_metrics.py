"""The lines of a run's metrics: every step once, cut back to where a run goes on, skipped steps apart."""

import numpy as np
import pytest
from command import read_rows

from rnnjax.errors import UserError
from rnnjax.finished import read_predictions
from rnnjax.run.metrics import MetricsLog, read_metrics
from rnnjax.training.state import StepInfo


def infos(first, count, skipped=()):
    """Metrics of the steps first … first + count - 1; the loss is the step's number."""
    steps = np.arange(first, first + count, dtype=np.float32)
    values = dict.fromkeys(StepInfo._fields, steps * 0)
    lost = np.isin(steps, skipped)
    return {**values, "loss": np.where(lost, np.nan, steps), "skipped": lost.astype(np.float32), "grad_norm": steps + 1}


def covered(rows):
    return [step for row in rows for step in range(row["step"] - row["window"] + 1, row["step"] + 1)]


@pytest.mark.parametrize("cuts", [[7, 7, 7, 9], [1] * 30, [30], [5, 10, 15], [2, 28]])
def test_the_lines_of_metrics_cover_every_step_once(tmp_path, cuts):
    log, step = MetricsLog(tmp_path / "metrics.jsonl", 0, every=5), 0
    for count in cuts:
        log.add(infos(step + 1, count))
        step += count
    log.flush(validation_loss=2.5)
    log.flush()
    log.close()
    rows = read_rows(tmp_path)
    assert [row["step"] for row in rows] == [5, 10, 15, 20, 25, 30]
    assert covered(rows) == [*range(1, 31)]
    assert [row["loss"] for row in rows] == [3, 8, 13, 18, 23, 28]
    assert [row.get("validation_loss") for row in rows] == [None] * 5 + [2.5]


def test_metrics_are_cut_back_to_the_step_that_training_goes_on_from(tmp_path):
    log = MetricsLog(tmp_path / "metrics.jsonl", 0, every=4)
    log.add(infos(1, 10))
    log.flush()  # as before a checkpoint
    log.add(infos(11, 9))
    log.close()
    with open(tmp_path / "metrics.jsonl", "a") as file:
        file.write('{"step": 19, "wi')
    log = MetricsLog(tmp_path / "metrics.jsonl", 10, every=4)
    assert [row["step"] for row in read_rows(tmp_path)] == [4, 8, 10]
    log.add(infos(11, 10))
    log.flush()
    log.close()
    rows = read_rows(tmp_path)
    assert [row["step"] for row in rows] == [4, 8, 10, 12, 16, 20]
    assert covered(rows) == [*range(1, 21)]


def test_metrics_of_a_run_without_a_checkpoint_begin_anew(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"step": 5, "window": 5}\n')
    MetricsLog(tmp_path / "metrics.jsonl", 0, every=4).close()
    assert read_rows(tmp_path) == []


def test_lines_that_hold_no_metrics_are_left_out(tmp_path):
    others = "", "{", "[" * 99999, f'{{"step": 1{"0" * 5000}, "window": 5}}', "[5, 5]", '{"step": "5", "window": 5}'
    good = '{"step": 5, "window": 5}'
    (tmp_path / "metrics.jsonl").write_text("\n".join([*others, good, *others]))
    assert [*read_metrics(tmp_path / "metrics.jsonl")] == [{"step": 5, "window": 5}]


def test_answers_that_cannot_be_read_are_one_line(tmp_path):
    for content in ("{", "[" * 99999):
        (tmp_path / "predictions.jsonl").write_text(content)
        with pytest.raises(UserError, match=r"predictions\.jsonl is damaged; remove it"):
            read_predictions(tmp_path / "predictions.jsonl")
    assert read_predictions(tmp_path / "none") == []


def test_skipped_steps_are_counted_and_left_out_of_the_means(tmp_path):
    log = MetricsLog(tmp_path / "metrics.jsonl", 0, every=4)
    log.add(infos(1, 8, skipped=(2, 5, 6, 7, 8)))
    log.flush()
    log.close()
    first, second = read_rows(tmp_path)
    assert (first["skipped"], first["loss"], first["grad_norm"]) == (
        1,
        pytest.approx((1 + 3 + 4) / 3),
        pytest.approx(11 / 3),
    )
    assert (second["skipped"], second["loss"]) == (4, None)
