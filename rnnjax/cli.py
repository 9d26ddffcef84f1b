"""Parts that all doors share: from a command line to a Config, and from an error to one line and an exit code."""

import dataclasses
import difflib
import errno
import io
import re
import sys
import typing
from collections.abc import Callable

import jsonargparse
import yaml

from rnnjax.config import RENAMED, Config, Platform
from rnnjax.config.checks import MOST_SHOWN, shown
from rnnjax.errors import UserError, printable
from rnnjax.run.interrupt import INTERRUPTED, done, leave, listen
from rnnjax.run.yaml_keys import repeated_key

BAD_INPUT = 2

OUTSIDE = frozenset(
    (
        *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.ESTALE),
        *(errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ENOTEMPTY, errno.ENAMETOOLONG, errno.ELOOP, errno.EMFILE),
    )
)
"""Errors of files that the user can mend."""

SMALLER = (
    "lower a number that was given, or of a configuration training.batch_size, training.sequence_length or "
    "model.hidden_size; what was saved before is intact"
)

MOST_SAID = 600
"""Characters of a parser's message, which may repeat a whole value."""


class Parser(jsonargparse.ArgumentParser):
    """An argument parser whose errors are one line."""

    def error(self, message: str, ex: Exception | None = None) -> typing.NoReturn:
        raise UserError(_one_line(message, self))

    def parse_args(self, *args: typing.Any, **kwargs: typing.Any) -> jsonargparse.Namespace:  # type: ignore[override]
        try:
            return super().parse_args(*args, **kwargs)
        except UnicodeEncodeError as error:
            raise UserError(f"the command line has bytes that are not UTF-8: {shown(error.object)}") from None

    def parse_path(self, cfg_path: typing.Any, *args: typing.Any, **kwargs: typing.Any) -> jsonargparse.Namespace:
        try:
            return super().parse_path(cfg_path, *args, **kwargs)
        except UnicodeDecodeError:
            raise UserError(f"--config: {cfg_path} is not UTF-8") from None
        except UserError as error:
            raise UserError(f"--config: {cfg_path}: {str(error).removeprefix('--config: ')}") from None

    def parse_string(self, content: str, *args: typing.Any, **kwargs: typing.Any) -> jsonargparse.Namespace:
        try:
            repeated = repeated_key(content)
        except yaml.YAMLError:
            repeated = None  # the parser says more
        if repeated:
            raise UserError(str(repeated))
        if not content.strip():
            raise UserError("--config: it is empty; give a YAML file with at least one field, or leave --config out")
        return super().parse_string(content, *args, **kwargs)


def make_parser(command: str, description: str) -> Parser:
    """Makes a parser for `python -m rnnjax.<command>`."""
    return Parser(prog=f"python -m rnnjax.{command}", description=description, default_env=False, allow_abbrev=False)


def add_config(parser: Parser, *more: type) -> None:
    """Gives a parser `--config FILE` and an option for every field of `Config`, after those of more dataclasses."""
    parser.add_argument(
        "--config", action=jsonargparse.ActionConfigFile, help="a YAML file with any of the fields below"
    )
    for kind in (*more, Config):
        parser.add_class_arguments(kind, as_group=False)


def add_run(parser: Parser, example: str = "runs/lyrics") -> None:
    """Gives a parser `--run` and `--checkpoint`."""
    parser.add_argument("--run", type=str, required=True, help=f"directory of the run, such as {example}")
    parser.add_argument("--checkpoint", type=str, default="best", help="best, newest, a step, average, or average:N")


def add_platform(parser: Parser) -> None:
    """Gives a parser `--platform`."""
    parser.add_argument("--platform", type=str, default="auto", help="auto, cpu, gpu, cuda, rocm, or tpu")


def check_platform(options: jsonargparse.Namespace) -> None:
    """Raises UserError for a platform that is none."""
    platforms = typing.get_args(Platform)
    if options.platform not in platforms:
        raise UserError(f"--platform is {options.platform!r}, but must be one of {', '.join(platforms)}")


def check_numbers(options: jsonargparse.Namespace, **lowest: int) -> None:
    """Checks that each named option is at least its lowest value.

    Raises:
      UserError: naming the first option below it.
    """
    for name, low in lowest.items():
        value = getattr(options, name)
        if value is not None and not low <= value < 2**31:
            raise UserError(f"--{name} is {value}, but must be at least {low}, and below 2^31")


def add_commands(parser: Parser, commands: dict[str, Parser]) -> None:
    """Gives a parser commands, one of which must be named.

    The parsed options have its name as `command`, and its options under that name.
    """
    group = parser.add_subcommands(required=True, dest="command", title="commands", description="each has its --help")
    for name, command in commands.items():
        group.add_subcommand(name, command, help=command.description)


def check_group(name: str, value: typing.Any) -> None:
    """Raises UserError where one value stands for a group of fields."""
    if not isinstance(value, jsonargparse.Namespace):
        raise UserError(f"{name} is {shown(value)}, but must be a group of fields")


def config_of(parser: Parser, namespace: jsonargparse.Namespace) -> Config:
    """Makes a Config of the parsed fields; its own checks run here."""
    for field in dataclasses.fields(Config):
        value = namespace[field.name]
        check_group(field.name, value)
        may_be_none = {name for name, default in vars(getattr(Config(), field.name)).items() if default is None}
        for name, leaf in vars(value).items():
            if leaf is None and name not in may_be_none:
                raise UserError(f"{field.name}.{name} is null, but must have a value")
            if isinstance(leaf, str) and "\0" in leaf:
                raise UserError(f"{field.name}.{name} is {shown(leaf)}, but no name or path has a character U+0000")
    made = parser.instantiate(namespace)
    return Config(**{field.name: made[field.name] for field in dataclasses.fields(Config)})


def run(door: Callable[[list[str] | None], int]) -> typing.NoReturn:
    """Runs a door as a program: an error that the user can mend is one line on standard error and exit code 2."""
    prepare_screen()
    if listens := door.__module__ == "__main__":
        listen()
    try:
        code = door(None)
    except UserError as error:
        code = _complain(str(error))
    except BrokenPipeError:  # whoever read our output has had enough
        code = 0
    except OSError as error:
        if error.errno not in OUTSIDE:
            raise
        code = _complain(
            f"{error.strerror}{f': {error.filename}' if error.filename else ''}; what was saved before is intact"
        )
        if listens:  # a library's threads may wait minutes for what has failed
            leave(code)
    except KeyboardInterrupt:
        code = INTERRUPTED
    except MemoryError as error:  # NumPy's, of an array that is too large
        code = _complain(f"out of memory ({str(error) or 'no word of the size'}); {SMALLER}")
    except RuntimeError as error:  # JAX's own is not imported here, as a door may not need it
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        code = _complain(f"out of memory ({str(error).splitlines()[0]}); {SMALLER}")
    if listens:
        done()
    sys.exit(code)


class Terminal(io.FileIO):
    """Terminal that may be closed while the work on it goes on to save."""

    def write(self, data: typing.Any, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            return len(data)


def prepare_screen() -> None:
    """Prints a character that the screen's encoding lacks as a question mark, and outlives a terminal."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if not isinstance(stream, io.TextIOWrapper):
            continue
        stream.reconfigure(errors="replace")
        if stream.isatty():
            raw = io.BufferedWriter(Terminal(stream.fileno(), "w", closefd=False))
            setattr(sys, name, io.TextIOWrapper(raw, stream.encoding, "replace", line_buffering=True))


def _complain(message: str) -> int:
    brief = re.sub(rf"\S{{{MOST_SAID // 2},}}", lambda found: f"{found[0][:MOST_SHOWN]}…", message)
    print(f"rnnjax: error: {printable(brief)}", file=sys.stderr)
    return BAD_INPUT


def _one_line(message: str, parser: Parser) -> str:
    """Puts the parser's message into one line, and names the nearest field for an unknown one."""
    text = re.sub(r"\s+", " ", message).strip()
    text = re.sub(r"<class '(\w+)'>", r"\1", text)
    text = re.sub(r"Parser key \"([^\"]+)\":", r"\1:", text)
    text = text.replace("Expected a typing.Literal", "expected one of ").replace("Expected a ", "expected ")
    if text.startswith("Unexpected config: "):
        return f"--config: {shown(text.removeprefix('Unexpected config: '))} is neither a file nor a group of fields"
    for (field, before), now in RENAMED.items():
        if re.search(rf"\.{field}: expected .* Got value: {before}$", text):
            return f"{text.partition(':')[0]}: {before} is called {now} now"
    if (name := _unknown_field(text)) is None:
        return text if len(text) <= MOST_SAID else f"{text[: MOST_SAID // 2]} … {text[-MOST_SAID // 2 :]}"
    known = [action.dest for action in parser._actions if action.dest != "help"]
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"unknown field {name}" + (f"; did you mean {near[0]}?" if near else "; see --help")


def _unknown_field(text: str) -> str | None:
    """The field that a parser's message calls unknown; None for another message."""
    if of_group := re.search(r"Group '([\w.]+)' does not accept option '([\w.]+)'", text):
        return f"{of_group[1]}.{of_group[2]}"
    key = re.search(
        r"[Kk]ey '?\"?([\w.]+)\"?'? is not expected|unrecognized arguments: --([\w.]+)"
        r"|Option '([\w.]+)' is not accepted",
        text,
    )
    return next(filter(None, key.groups())) if key else None
