"""A study's folder as an ablation leaves it, with invented numbers."""

import json

import numpy as np
import pandas as pd
import yaml

STEPS = (0, 50, 100)


def write_study(path, arms, metric="test_loss", direction="lower", rows=None, **about):
    """Writes study.yaml, arms.json, environment.json, a sample an arm, and one part for every two arms.

    Args:
      arms: list of (name, fields, {seed: final value of the metric, or "diverged", "running" or "missing"}); the first
        is the baseline.
      rows: changes one row, a dict; returns it or None to leave it out.
    """
    (path / "results").mkdir(parents=True)
    (path / "samples").mkdir()
    described, tables = [], []
    for name, fields, seeds in arms:
        for seed, value in seeds.items():
            number = len(described)
            arm = {"arm": number, "name": name, "seed": seed, "fields": fields, "baseline": name == arms[0][0]}
            chosen = {"optimizer.learning_rate": 0.01, "validation_loss": {"0.01": 2.0, "0.1": 2.5}}
            described.append({**arm, "tuned": chosen if about.get("tune") else None})
            tables.append([row for row in map(rows or dict, _rows(number, name, seed, value, metric, fields)) if row])
            (path / "samples" / f"arm-{number}.txt").write_text(f"la <b>{number}</b> & sun\n")
    for index in range(0, len(tables), 2):
        part = pd.DataFrame(tables[index] + (tables[index + 1] if index + 1 < len(tables) else []))
        if len(part):
            part.to_parquet(path / "results" / f"part-{index:06d}.parquet")
    (path / "arms.json").write_text(json.dumps(described))
    (path / "environment.json").write_text(json.dumps({"python": "3.11", "packages": {"jax": "0.10"}}))
    study = {"name": path.name, "base": "configs/lyrics.yaml", "metric": metric, "direction": direction, "axes": []}
    study |= {"baseline": arms[0][0], "seeds": list(arms[0][2]), "tune": {"learning_rates": [], "seeds": [9]}}
    study |= {"command": "python -m rnnjax.ablate --config configs/ablations/clipping.yaml"}
    (path / "study.yaml").write_text(yaml.safe_dump({**study, **about}))
    return path


def _rows(number, name, seed, value, metric, fields):
    draw = np.random.default_rng(number)
    found = []
    for step in STEPS if value != "missing" else ():
        last = step == STEPS[-1]
        if value == "running" and last:
            break
        diverged = value == "diverged" and step > 0  # its weights stay as they are, and are measured on
        loss = 50.0 if diverged else 3 * np.exp(-step / 40) + 1 + draw.uniform(0, 0.1)
        row = {"arm": number, "name": name, "seed": seed, "step": step, "training_loss": loss, "validation_loss": loss}
        row |= {"test_loss": float("nan"), "grad_norm": 1.0, "clipped": 0.2, "skipped": 0, "diverged": diverged}
        row |= {"seconds": 0.2 * step + 1, "group": number // 10, "memory_bytes": 12_345_678, "final": last, **fields}
        if metric not in row:
            row[metric] = float("nan")
        if last:
            row[metric] = 60.0 if diverged else value
        found.append(row)
    return found
