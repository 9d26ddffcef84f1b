"""The local executor: groups one after the other, in this process."""

from rnnjax.run.interrupt import Interrupt
from rnnjax.study.board import Board
from rnnjax.study.groups import Group, Work
from rnnjax.study.training import train_group


def run(work: Work, groups: list[Group], board: Board) -> bool:
    """Trains all groups. Returns False after an interrupt."""
    with Interrupt() as interrupt:
        for group in groups:
            if not train_group(work, group, lambda: interrupt.asked, board.take):
                return False
    return True
