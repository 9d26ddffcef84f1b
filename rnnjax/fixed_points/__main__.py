"""Fixed and slow points of a network, and their stability: python -m rnnjax.fixed_points --run runs/lyrics.

For a trained network (--run) or a fresh one (--config, with any of its fields), in float64: the states that it visits
on held-out text, and from each the nearest point at which it stays where it is, or nearly, while the input is one
letter (--letter), again and again. Prints each point with its speed, its eigenvalues and how many it has above 1, and
writes fixed_points.json and a picture in principal components.
"""

from __future__ import annotations

from jsonargparse import Namespace

from rnnjax.cli import check_numbers, run
from rnnjax.config.checks import more_than_zero
from rnnjax.text_network import TextNetwork, parser_for, read_text_network


def main(argv: list[str] | None = None) -> int:
    parser = parser_for("fixed_points", __doc__, argv)
    parser.add_argument("--letter", type=str, help="the input that stays; by default the text's most frequent letter")
    parser.add_argument("--starts", type=int, default=200, help="visited states from which points are looked for")
    parser.add_argument("--steps", type=int, default=2000, help="letters of held-out text that the network reads")
    parser.add_argument("--slowest", type=float, default=1e-9, help="largest speed |F(s) - s| of a point that is kept")
    options = parser.parse_args(argv)
    check_numbers(options, starts=1, steps=1)
    more_than_zero(**{"--slowest": options.slowest})
    return look(read_text_network("fixed_points", parser, options), options)


def look(network: TextNetwork, options: Namespace) -> int:
    """Finds the points, prints a line for each, and writes fixed_points.json and the picture."""
    from rnnjax.fixed_points.figures import plot
    from rnnjax.fixed_points.measure import measure
    from rnnjax.run.results import make_directory, write_json

    found, visited = measure(network, options)
    make_directory(network.out)
    print(f"{network.name}: {found['text']}")
    for index, size in enumerate(found["unstable"]):
        kind = "stable" if size == 0 else f"{size} unstable"
        largest, times = abs(complex(*found["eigenvalues"][index][0])), found["found"][index]
        print(f"  {kind}, largest eigenvalue {largest:.3f}, speed {found['speeds'][index]:.1e}, from {times} starts")
    if not found["unstable"]:
        print(f"  none at a speed below {options.slowest:g}; a larger --slowest keeps slow points too")
    write_json(network.out / "fixed_points.json", found)
    plot(network.out / "fixed_points.png", network.name, found, visited)
    print(f"fixed_points.json and fixed_points.png are in {network.out}")
    return 0


if __name__ == "__main__":
    run(main)
