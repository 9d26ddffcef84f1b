"""Runs a study: python -m rnnjax.ablate --config configs/ablations/clipping.yaml.

The same command goes on where it stopped; --dry_run shows its arms, their programs, and the time and memory they need.
Fields of the base config may be given as well, in the study's file and here, as in --training.steps 500.
"""

from pathlib import Path

import jsonargparse

from rnnjax.cli import add_config, check_group, config_of, make_parser, run
from rnnjax.config import Config
from rnnjax.config.checks import check
from rnnjax.errors import UserError
from rnnjax.run.interrupt import INTERRUPTED
from rnnjax.study.study import Study

SECTIONS = tuple(Config.__dataclass_fields__)


def main(argv: list[str] | None = None) -> int:
    parser = make_parser("ablate", __doc__)
    parser.add_argument("--dry_run", action="store_true", help="print arms, programs and an estimate; train nothing")
    parser.add_argument(
        "--executor",
        choices=["local", "ray"],
        default="local",
        help="local: programs run here, one after the other; ray: side by side over a Ray cluster",
    )
    parser.add_argument("--address", default="auto", help="host:port of the Ray cluster; auto: that of this machine")
    add_config(parser, Study)
    given = parser.parse_args(argv, defaults=False)
    for name in ("axes", "tune", *SECTIONS):
        if name in given and given[name] is not None:
            check_group(name, given[name])
    sections = {name: given.pop(name) for name in SECTIONS if name in given}
    dry_run, executor = given.pop("dry_run", False), given.pop("executor", "local")
    if "address" in given and executor == "local":
        raise UserError("--address is of a Ray cluster; add --executor ray")
    address = given.pop("address", "auto")
    if null := [name for name, value in vars(given).items() if value is None]:
        raise UserError(f"{null[0]} is null, but must have a value")
    if "axes" not in given:
        raise UserError("axes names no field; give a study with --config, such as configs/ablations/clipping.yaml")
    study = study_of(given)
    return ablate(study, base_of(study.base, sections), dry_run, address if executor == "ray" else None)


def study_of(given: jsonargparse.Namespace) -> Study:
    """Makes and checks the study of the fields that were given."""
    parser = make_parser("ablate", "")
    parser.add_argument("--config", action=jsonargparse.ActionConfigFile)
    parser.add_class_arguments(Study, as_group=False)
    made = parser.instantiate(parser.parse_object(given.as_dict()))
    return Study(**{name: made[name] for name in Study.__dataclass_fields__})


def base_of(path: str, sections: dict[str, jsonargparse.Namespace]) -> Config:
    """Reads the config that all arms share, with the fields that were given set."""
    parser = make_parser("ablate", "")
    add_config(parser)
    fields = parser.parse_args(["--config", path] if path else [])
    for section, leaves in sections.items():
        for name, value in jsonargparse.Namespace(leaves).items():
            fields[f"{section}.{name}"] = value
    return config_of(parser, fields)


def ablate(study: Study, base: Config, dry_run: bool, address: str | None = None) -> int:
    """Runs a study to its end, or to an interrupt; over a Ray cluster if its address is given.

    Returns:
      The exit code.
    """
    from rnnjax.run.device import set_up
    from rnnjax.study import cluster, local
    from rnnjax.study.arms import make_arms
    from rnnjax.study.results import check_extra
    from rnnjax.study.run import run_study

    check_extra()
    check(not base.run.coordinator, "run.coordinator", base.run.coordinator, "empty in a study; see --executor ray")
    alone = "empty in a study, whose arms draw weights by their seeds; train each arm as a run of its own to begin so"
    check(not base.run.init_from, "run.init_from", base.run.init_from, alone)
    check(address is None or base.run.devices > 0, "run.devices", 0, "at least 1 with --executor ray")
    arms = make_arms(study, base)
    platform = base.run.platform if address is None else "cpu"  # the cluster's accelerators are for its workers
    here = base.run
    set_up(platform, here.precision, here.devices, here.products, here.compilation_cache)
    path = Path(here.root) / study.name
    if dry_run:
        from rnnjax.study.estimate import show

        show(study, base, arms)
        return 0
    if address is not None:
        cluster.connect(address)
    execute = local.run if address is None else cluster.run
    return 0 if run_study(study, base, arms, path, execute) else INTERRUPTED


if __name__ == "__main__":
    run(main)
