"""The count of faults of one kind, and what went wrong."""

import sys
from dataclasses import dataclass, field


@dataclass
class Count:
    """Faults of one kind.

    Attributes:
      kind: the fault in words.
      meant: the right outcome in words.
      tried: number of faults.
      outcomes: numbers of right outcomes, by name.
      wrong: the others, in words.
    """

    kind: str
    meant: str
    tried: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def take(self, outcome: str, wrong: str = "") -> None:
        """Takes the outcome of one fault, and what is wrong with it, if anything."""
        self.tried += 1
        if wrong:
            self.wrong.append(wrong)
            print(f"  {self.kind}: {wrong}", file=sys.stderr, flush=True)
        else:
            self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1

    def row(self) -> str:
        """Row of the table in Markdown."""
        found = ", ".join(f"{number} {name}" for name, number in sorted(self.outcomes.items()))
        return f"| {self.kind} | {self.meant} | {self.tried} | {found} | {len(self.wrong)} |"
