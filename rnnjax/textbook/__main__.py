"""The chapter worked through in numbers: python -m rnnjax.textbook {forward,gradients,clipping}."""

from importlib import import_module

from rnnjax.cli import add_commands, make_parser, run
from rnnjax.errors import UserError

COMMANDS = {
    "forward": "the chapter's forward pass, with the hidden state left out and with it",
    "gradients": "each formula for a gradient beside autodiff; exits with 1 where one does not do what is said of it",
    "clipping": "clipping by norm, the chapter's formula, beside clipping by value, its code",
}
"""Each is a module of this package with `show(seed) -> exit code`."""


def main(argv: list[str] | None = None) -> int:
    parser = make_parser("textbook", __doc__)
    commands = {name: make_parser(f"textbook {name}", what) for name, what in COMMANDS.items()}
    for command in commands.values():
        command.add_argument("--seed", type=int, default=0, help="seed of the weights")
    add_commands(parser, commands)
    options = parser.parse_args(argv)
    seed = options[options.command].seed
    if not 0 <= seed < 2**31:
        raise UserError(f"--seed is {seed}, but must be at least 0, and below 2^31")

    from rnnjax.run.device import set_up

    set_up("cpu", "float64")  # some hundred numbers, whose rounding must not be what is seen
    return import_module(f"rnnjax.textbook.{options.command}").show(seed)


if __name__ == "__main__":
    run(main)
