"""The effect of clipping, as tables."""

from collections.abc import Iterator

from rich.table import Table

from rnnjax.screen import make_table

SAME_DIRECTION = 0.05
"""Angle in degrees below which a gradient has kept its direction, but for rounding."""


def tables(found: dict) -> Iterator[Table | str]:
    """Tables and lines to print, one by one."""
    norm, config = found["norm"], found["config"]
    yield (
        f"{found['name']}: gradients of {found['windows']} training windows, norm {norm['median']:.3g} in the median, "
        f"{norm['smallest']:.3g} to {norm['largest']:.3g}; the config clips by {config['clip']}, threshold "
        f"{config['clip_threshold']:g}"
    )
    title = "the whole gradient (medians over the windows; angle in degrees, share of elements changed)"
    table = make_table(title, "clip", "threshold", "x median norm", "before", "after", "angle", "changed")
    for index, row in enumerate(found["rows"]):
        ends = index + 1 == len(found["rows"]) or found["rows"][index + 1]["kind"] != row["kind"]
        table.add_row(
            row["kind"], f"{row['threshold']:.3g}", row["which"].split()[0], *effect(row["whole"]), end_section=ends
        )
    yield table

    row = shown(found)
    title = f"leaf by leaf, threshold {row['threshold']:.3g} ({row['which']} norm)"
    table = make_table(title, "leaf", "clip", "before", "after", "angle", "changed", words=2)
    same = [other for other in found["rows"] if other["which"] == row["which"]]
    for name in row["leaves"]:
        for other in same:
            table.add_row(name, other["kind"], *effect(other["leaves"][name]), end_section=other is same[-1])
    yield table

    yield at_threshold(found)
    yield at_same_length(found)


SAME_DIRECTION = 0.05
"""Angle in degrees below which a gradient has kept its direction, but for rounding."""


def at_threshold(found: dict) -> str:
    """Effect of the book's two kinds at the config's threshold; medians over the windows, like all numbers here."""
    at = {row["kind"]: row["whole"] for row in found["rows"] if row["which"] == "config"}
    return (
        f"at the config's threshold, {found['config']['clip_threshold']:g}, the book's formula (by norm) "
        f"{in_words(at['global_norm'])}; its code (by value) {in_words(at['value'])}"
    )


def in_words(whole: dict) -> str:
    if not whole["changed"]:
        return "changes nothing"
    kept = 100 * whole["after"] / whole["before"]
    return f"leaves {kept:.3g}% of the length and turns a gradient by {whole['angle']:.1f} degrees"


def at_same_length(found: dict) -> str:
    """Effect of the book's two kinds where both leave the same share of the length."""
    same = found["same_length"]
    by_norm, by_value = same["global_norm"], same["value"]
    differ = by_value["angle"] > SAME_DIRECTION
    return (
        ("the book's formula is not its code" if differ else "to these gradients both do the same, the threshold apart")
        + f": to leave {100 * same['share_of_length']:.0f}% of the length, "
        f"the formula (threshold {by_norm['threshold']:.2g}) turns a gradient by {by_norm['angle']:.1f} degrees, "
        f"the code (threshold {by_value['threshold']:.2g}) by {by_value['angle']:.1f} degrees, changing "
        f"{100 * by_value['changed']:.2g}% of the elements"
    )


def shown(found: dict) -> dict:
    """Row whose leaves are shown: the one of the smallest multiple of the median norm."""
    multiples = [row for row in found["rows"] if row["which"] != "config"]
    return min(multiples, key=lambda row: row["threshold"])


def effect(numbers: dict) -> tuple[str, ...]:
    """Four cells: lengths, angle, share."""
    changed = f"{100 * numbers['changed']:.2f}%"
    return f"{numbers['before']:.3g}", f"{numbers['after']:.3g}", f"{numbers['angle']:.2f}", changed
