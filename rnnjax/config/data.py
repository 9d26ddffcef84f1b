"""The fields `data.*` of a config."""

from dataclasses import dataclass

from rnnjax.config.checks import at_least, check, typed


@dataclass(frozen=True)
class DataConfig:
    """The text or the series, and their split.

    Attributes:
      path: 'bundled' (the songs that ship with rnnjax), a table with a text column (.csv, .tsv, .json, .jsonl or
        .parquet), a plain text in any other file, one of these in a .gz or .zip, an http(s) address of one, or
        'recall': lines that show a letter, count, and ask for the letter again. The task
        seq2seq makes its own numbers; 'digits', for many_to_one, is scikit-learn's images of hand-written digits. The
        tasks on series read a .npz file of arrays, a CSV table of numbers, or 'mackey_glass', a chaotic series.
      sha256: checksum of the file behind an http(s) address; required there, as it is fetched once and kept.
      text_column: the CSV column that holds the lyrics.
      separator: the text between two songs when they are joined into one text.
      validation_fraction: share of the songs, or series, held out to choose the best checkpoint; of a .txt file a share
        of the text, of a single series a share of its time.
      test_fraction: share of the same that is read once, at the end of the run.
      split_seed: seed of the draw of the held-out songs, or of the letters of a recall text.
      recall_lag: characters between a letter and its recall.
      recall_lines: lines of a recall text.
      columns: the columns of a table of numbers to read, separated by commas; empty: all but `series`.
      targets: the columns to predict, separated by commas; empty: those that are read.
      series: the column that names the series of each row; empty: all rows are one series, in the order of time.
      horizon: forecasting: rows, or steps, from what is read to what is predicted.
      season: forecasting: rows of a season, for the baseline that repeats the last one; 0: there is none.
    """

    path: str = "bundled"
    sha256: str | None = None
    text_column: str = "text"
    separator: str = ", "
    validation_fraction: float = 0.1
    test_fraction: float = 0.1
    split_seed: int = 0
    recall_lag: int = 12
    recall_lines: int = 20_000
    columns: str = ""
    targets: str = ""
    series: str = ""
    horizon: int = 1
    season: int = 0

    def __post_init__(self) -> None:
        typed(self, "data")
        for name in ("validation_fraction", "test_fraction"):
            value = getattr(self, name)
            check(0 <= value < 1, f"data.{name}", value, "in [0, 1)")
        held_out = self.validation_fraction + self.test_fraction
        check(held_out < 1, "data.validation_fraction + data.test_fraction", held_out, "below 1")
        at_least(0, data__split_seed=self.split_seed, data__season=self.season)
        positive = {"data__recall_lines": self.recall_lines, "data__horizon": self.horizon}
        at_least(1, data__recall_lag=self.recall_lag, **positive)
        check(self.recall_lag <= 47, "data.recall_lag", self.recall_lag, "at most 47, the characters to count with")
