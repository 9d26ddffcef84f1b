"""Trains a network: python -m rnnjax.train --config configs/lyrics.yaml. The same command goes on where it stopped."""

from rnnjax.cli import add_config, config_of, make_parser, run
from rnnjax.config.checks import check


def main(argv: list[str] | None = None) -> int:
    parser = make_parser("train", __doc__)
    add_config(parser)
    config = config_of(parser, parser.parse_args(argv))
    devices, task = config.run.devices, config.task
    check(task.is_text or devices == 1, "run.devices", devices, f"1 for the task {task.name}")
    coordinator = config.run.coordinator
    check(task.is_text or not coordinator, "run.coordinator", coordinator, f"empty for the task {task.name}")

    # Late, so that --help and a wrong config answer at once.
    from rnnjax.loop import train
    from rnnjax.run.device import set_up
    from rnnjax.run.hosts import joined

    with joined(config.run):
        here = config.run
        set_up(here.platform, here.precision, here.devices, here.products, here.compilation_cache)
        return train(config)


if __name__ == "__main__":
    run(main)
