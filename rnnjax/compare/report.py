"""The certificate as a report: its verdict, its text, its file."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax

from rnnjax.certificate.certificate import Certificate
from rnnjax.certificate.check import Check


@dataclass(frozen=True)
class Report:
    """Findings of a certificate.

    Attributes:
      heading: lines about what was certified.
      found: all findings.
      about: facts that a file tells beside the findings, such as the config.
    """

    heading: list[str]
    found: Certificate
    about: dict[str, Any]

    @property
    def passed(self) -> bool:
        """True where something passes and nothing fails."""
        return not self.found.failed and "PASS" in self.verdicts

    @property
    def verdicts(self) -> list[str]:
        """Verdicts on the methods, on the identities, and on the config at its own size."""
        found = self.found
        verdicts = [*(row.verdict for row in found.rows), *(check.verdict for check in found.checks)]
        return verdicts + [row.verdict for row in found.full]

    @property
    def failed(self) -> list[str]:
        """Methods that fail, each once."""
        return self.found.failed

    @property
    def faults(self) -> list[Check]:
        """Identities that do not hold."""
        return [check for check in self.found.checks if check.verdict == "FAIL"]

    def __str__(self) -> str:
        """The matrix, and the identities that do not hold."""
        return self.text(full=False)

    def text(self, full: bool = True, width: int = 120) -> str:
        """The tables, with every identity or with those alone that do not hold."""
        from rich.console import Console

        from rnnjax.compare import tables

        screen = io.StringIO()
        # Plain text everywhere: a notebook asks rich for colours, and for a display of its own.
        plain: dict[str, Any] = {"force_terminal": False, "force_jupyter": False, "color_system": None}
        tables.show(Console(file=screen, width=width, highlight=False, **plain), self, full)
        return "\n".join(line.rstrip() for line in screen.getvalue().splitlines())

    def save(self, path: str | Path) -> None:
        """Writes all findings as JSON; a number that is not finite is null."""
        from rnnjax.run.results import plain, write_json

        found = self.found
        content = {
            **self.about,
            "jax": jax.__version__,
            "platform": jax.default_backend(),
            "heading": self.heading,
            "cut": found.cut,
            "windows": dict(zip(("count", "steps", "streams"), (*found.shape, 1), strict=False)),
            "matrix": [{**plain(row), "exact_error": row.target and row.target.error} for row in found.rows],
            "theory": [{**plain(check), "verdict": check.verdict} for check in found.checks],
            "full_size": found.full,
            "failed": found.failed,
        }
        write_json(Path(path), content)
