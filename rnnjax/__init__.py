"""Recurrent networks as pure functions in JAX.

Its rooms, and the order in which they import each other, are one picture: docs/architecture.md, which a test holds to
the linter's contract. `python -m rnnjax.train --help` and its like are the doors.
"""

import sys

if sys.argv[:1] == ["-m"] and any(word.startswith("rnnjax.") for word in sys.orig_argv):
    # Python looks for the door that it was told to run: what answers Ctrl-C begins here, before the long imports.
    from rnnjax.run.interrupt import listen

    listen()
