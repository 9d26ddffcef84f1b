"""The error that a user can mend: one line, exit code 2."""


class UserError(Exception):
    """Something outside the program is wrong; the message says what, where, and what to do."""


def printable(line: str) -> str:
    """Writes the characters of a line that a terminal would act on, such as ends of lines and colours, as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)
