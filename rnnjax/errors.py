"""The one kind of error that a user can mend: said in one line, exit code 2."""


class UserError(Exception):
    """Something outside the program is wrong; the message says what, where, and what to do."""
