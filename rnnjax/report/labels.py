"""Labels in a study's pictures: columns in words, with the unit of a loss, and the values of fields."""

from rnnjax.report.read import Record
from rnnjax.report.summary import ArmSummary

SQUARED = ("adding", "forecasting", "regression")
"""Tasks whose loss is a squared error where nothing else is said."""

UNITS = dict.fromkeys(("text", "one_to_one", "one_to_many", "many_to_many", "seq2seq"), "character")
"""Unit that the loss of a task is a mean over, where it is not an output."""


def named(study: Record, column: str) -> str:
    """A column in words, with the unit of a loss."""
    about = study.about.get("config")
    task = (about.get("task") if isinstance(about, dict) else None) or {}
    name, words = task.get("name"), column.replace("_", " ")
    if name is None or not column.endswith("loss"):
        return words
    squared = task.get("loss") == "squared_error" or (name in SQUARED and not task.get("loss"))
    unit = "squared error" if squared else f"nats per {UNITS.get(name, 'output')}"
    return f"{words} ({unit})"


def setting(arm: ArmSummary, field: str) -> str:
    """An arm's value of a field, such as clip=value."""
    return f"{field.split('.')[-1]}={arm.fields.get(field)}"
