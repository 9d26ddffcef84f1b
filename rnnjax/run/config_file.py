"""config.yaml of a run: every field as the run began, and the fields that may change when it goes on."""

import dataclasses
from collections.abc import Collection
from pathlib import Path
from typing import Any, get_args

import yaml

from rnnjax.config import OLDER, RENAMED, Config
from rnnjax.config.gradient import Kernel
from rnnjax.errors import UserError
from rnnjax.files import read_text
from rnnjax.run.progress import warn
from rnnjax.run.yaml_keys import repeated_key

FREE_TO_CHANGE = {
    *("data.path", "run.root", "sampling.show_every_steps"),
    *("run.compilation_cache", "run.threads", "run.tensorboard"),
    *("run.coordinator", "run.processes", "run.process"),
}
"""Fields that a resumed run may differ in: they change no number, as the data are known by their checksum."""


def as_begun(config: Config, run: Path, kept: dict[str, Any] | None = None) -> Config:
    """Config to go on with: scan_unroll and kernel, where left open, and fields younger than the run, are as it began.

    Args:
      kept: the run's config by its checkpoints, where they have it.
    """
    path = run / "config.yaml"
    try:
        recorded = kept or (read_yaml(path) if path.exists() else {})
        begun = completed(recorded, older_defaults())
    except UserError:
        return config  # `RunDirectory.pin_config` raises it
    if not recorded:
        return config
    config = with_older_fields(config, recorded, run)
    unroll, kernel = begun["model"]["scan_unroll"], begun["gradient"]["kernel"]
    chosen = config.model.scan_unroll or (unroll if isinstance(unroll, int) and unroll > 0 else 0)
    config = dataclasses.replace(config, model=dataclasses.replace(config.model, scan_unroll=chosen))
    if config.gradient.kernel != "auto" or kernel not in get_args(Kernel):
        return config
    return dataclasses.replace(config, gradient=dataclasses.replace(config.gradient, kernel=kernel))


def with_older_fields(config: Config, recorded: dict, run: Path) -> Config:
    """Config whose fields that a run does not record have the values of `OLDER`; warns of each that this changes."""
    for section, fields in OLDER.items():
        then = {name: value for name, value in fields.items() if name not in recorded.get(section, {})}
        for name, value in then.items():
            if getattr(getattr(config, section), name) not in (value, "auto"):
                warn(f"{run} is older than {section}.{name}; it goes on with {value}, as it began")
        config = dataclasses.replace(config, **{section: dataclasses.replace(getattr(config, section), **then)})
    return config


def older_defaults() -> dict:
    """Value of every field that a run does not record: it is older than the field."""
    return completed(OLDER, dataclasses.asdict(Config()))


def completed(given: dict, defaults: dict) -> dict:
    """Given fields, their values by today's names, and the defaults of those that are missing."""
    filled = dict(given)
    for key, value in defaults.items():
        has = given.get(key, value)
        if isinstance(value, dict) and not isinstance(has, dict):
            raise UserError(f"config.yaml is damaged: {key} is {str(has)[:40]!r}, but must be a group of fields")
        filled[key] = completed(has, value) if isinstance(value, dict) else RENAMED.get((key, str(has)), has)
    return filled


def difference(path: Path, kept: dict[str, Any]) -> str:
    """Difference of a config file to the kept one, in words; empty where no number would change."""
    if not path.exists():
        return "is gone"
    try:
        changed = changed_numbers(completed(kept, older_defaults()), completed(read_yaml(path), older_defaults()))
    except UserError:
        return "is damaged"
    return f"was changed ({changed})" if changed else ""


def changed_numbers(old: dict, new: dict) -> str:
    """Differences in words without those that change no number of the steps so far: free fields, and more steps."""
    steps, more = old["training"]["steps"], new["training"]["steps"]
    longer = isinstance(steps, int) and isinstance(more, int) and more > steps
    return changes(old, new, FREE_TO_CHANGE | ({"training.steps"} if longer else set()))


def with_free_fields(kept: dict[str, Any], path: Path) -> dict[str, Any]:
    """A kept config with the free fields that a config file has: the data may have moved since it was kept."""
    try:
        now = completed(read_yaml(path), older_defaults())
    except UserError:
        return completed(kept, older_defaults())
    found = {section: dict(fields) for section, fields in completed(kept, older_defaults()).items()}
    for section, _, name in (name.partition(".") for name in FREE_TO_CHANGE):
        found[section][name] = now[section][name]
    return found


def changes(old: dict, new: dict, free: Collection[str]) -> str:
    """Differences in words, without those in the free fields; empty where there are none."""
    return "; ".join(f"{name}: {before} -> {now}" for name, before, now in differences(old, new) if name not in free)


def differences(old: dict, new: dict, prefix: str = "") -> list[tuple[str, Any, Any]]:
    """Differences between two nested mappings: (dotted name, old, new) each, None where a value is missing."""
    found = []
    for key in sorted(old.keys() | new.keys(), key=str):
        before, after = old.get(key), new.get(key)
        if isinstance(before, dict) and isinstance(after, dict):
            found += differences(before, after, f"{prefix}{key}.")
        elif before != after:
            found.append((f"{prefix}{key}", before, after))
    return found


def read_yaml(path: Path) -> dict:
    """Reads the mapping in a YAML file.

    Raises:
      UserError: if it is missing, damaged, or gives a key twice.
    """
    try:
        text = read_text(path)
        repeated = repeated_key(text)
        content = yaml.safe_load(text)
    except (OSError, yaml.YAMLError, ValueError):  # ValueError: it is not UTF-8
        content = repeated = None
    if repeated:
        raise UserError(f"{path}: {repeated}")
    if not isinstance(content, dict):
        raise UserError(f"{path} is damaged: it is no YAML mapping")
    return content
