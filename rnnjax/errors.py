"""The one kind of error that a user can mend: said in one line, exit code 2."""


class UserError(Exception):
    """Something outside the program is wrong; the message says what, where, and what to do."""


def printable(line: str) -> str:
    """A line with escapes for ends of lines, and for what colours a terminal: the name of a file may hold them."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)
