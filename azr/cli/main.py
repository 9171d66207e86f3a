"""`azr`: finds the sub-command, parses its arguments, runs it, and turns every ending into an exit status.

Owns the table of commands. A command's module is imported only when that command is asked for, so that `azr --help`
answers at once and a part whose packages are missing does not take the others down.

      azr [--debug] NAME ...  ──►  COMMANDS ──► import module ──► add_arguments ──► run ──► exit status
                                      │              │                               │
                                 nearest name   what to install     AzrError, files, the sandbox, Ctrl-C, broken pipe

Exit status: 0 done · 1 an error, told with its mend · 2 wrong usage · 130 Ctrl-C · 141 the reader went away.
"""

from __future__ import annotations

import argparse
import errno
import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol, cast

from azr import __version__
from azr.errors import AzrError, UsageError
from azr.names import did_you_mean
from azr.text import printable

EXIT_ERROR = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141

#: What mends what the system says of a file or a disk, in the order of how often it is met.
_FILE_MENDS = {
    errno.EACCES: "let this user at it, or name another place",
    errno.EPERM: "let this user at it, or name another place",
    errno.EROFS: "name a place that can be written to",
    errno.ENOENT: "check the path",
    errno.ENOTDIR: "check the path: a file stands where a folder must be",
    errno.EEXIST: "check the path: a file stands where a folder must be",
    errno.EISDIR: "check the path: a folder stands where a file must be",
    errno.ENOSPC: "make room there, or name another place",
    errno.EDQUOT: "make room there, or name another place",
}


class Command(NamedTuple):
    """A row of the table: what a user types, the module that does it, and the line `azr --help` shows."""

    name: str
    module: str
    summary: str


class CommandModule(Protocol):
    """What a command module declares."""

    SUMMARY: str
    EPILOG: str

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the command's arguments."""

    def run(self, arguments: argparse.Namespace) -> int:
        """Do the work; the answer is the exit status."""
        ...


#: Every sub-command in the order a newcomer meets them.
COMMANDS = (
    Command("train", "azr.cli.train", "train a model by self-play, from one command to its end"),
    Command("doctor", "azr.cli.doctor", "what works on this machine, what does not, and how to mend it"),
    Command("eval", "azr.cli.evaluate", "ask a model or a run the held-out tasks"),
    Command("exec", "azr.cli.exec", "run programs in the sandbox: JSON lines in, JSON lines out"),
    Command("gate", "azr.cli.gate", "judge proposed tasks as strictly as self-play does"),
    Command("verify", "azr.cli.verify", "judge answers to tasks"),
    Command("prompts", "azr.cli.prompts", "show the prompts a model is given"),
    Command("seed", "azr.cli.seed", "make or import the first tasks"),
    Command("sft", "azr.cli.sft", "train a model on pairs of prompt and response"),
    Command("serve", "azr.cli.serve", "talk to a model or a run's checkpoint over HTTP"),
    Command("export", "azr.cli.export", "write a checkpoint as a model folder for transformers and vLLM"),
    Command("report", "azr.cli.report", "a run as one page: plots, results, samples"),
    Command("import", "azr.cli.import_checkpoint", "bring in a checkpoint of another system"),
    Command("tiny", "azr.cli.tiny", "make the embedded tiny base model from nothing"),
    Command("config", "azr.cli.config", "show presets, the resolved configuration, and what every key means"),
    Command("bench", "azr.cli.bench", "measure this machine; the numbers in the README come from here"),
)

_EXAMPLES = """examples:
  azr doctor                                   is this machine ready?
  echo '{"program": "def f(x): return x * 2", "inputs": ["21"]}' | azr exec
  azr config show algorithm=paper              every key, as a run would see it
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; the entry point `azr`."""
    words = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    _open_standard_streams()
    try:
        status = _dispatch(words)
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        if debug:
            traceback.print_exc()
        print("\nazr: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader (`head`, `less`) has seen enough. Point stdout elsewhere, or Python complains once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_BROKEN_PIPE
    except Exception as error:
        if (told := _expected(error)) is None:
            raise
        if debug:
            traceback.print_exc()
        return _tell(told)


def _open_standard_streams() -> None:
    """Whoever closed one (`<&-`, `>&-`) gets one that leads nowhere, as commands and the processes they start expect
    to have all three. In their order, so that each gets its own number."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            stream = Path(os.devnull).open(mode)  # noqa: SIM115 - open until the end
            os.set_inheritable(stream.fileno(), True)
            setattr(sys, name, stream)


def _tell(error: AzrError) -> int:
    print(f"azr: error: {printable(str(error), newlines=True)}", file=sys.stderr)
    return EXIT_USAGE if isinstance(error, UsageError) else EXIT_ERROR


def _expected(error: Exception) -> AzrError | None:
    """What a person is told of an error; None when it is a defect."""
    if isinstance(error, AzrError):
        return error
    if isinstance(error, OSError):
        return _of_a_file(error)
    from sandbox_wasm.dispatcher import SandboxError  # here, for `azr --help` needs neither
    from sandbox_wasm.registry import BackendConfigurationError, UnknownBackendError

    if isinstance(error, SandboxError):
        return AzrError(str(error), "azr doctor shows what works on this machine")
    if isinstance(error, (UnknownBackendError, BackendConfigurationError)):
        return AzrError(str(error), "set sandbox.backend, and sandbox.options for what it takes")
    return None


def _of_a_file(error: OSError) -> AzrError | None:
    """What the system says of a file or a disk, for a person; None when it is about something else, and a defect."""
    if error.filename is None and error.errno not in (errno.ENOSPC, errno.EDQUOT):
        return None
    where = "" if error.filename is None else f"{error.filename}: "
    return AzrError(
        f"{where}{error.strerror or error}", _FILE_MENDS.get(error.errno or 0, "azr --debug shows where it was met")
    )


def parser_of(command: Command) -> tuple[argparse.ArgumentParser, CommandModule]:
    """The argument parser of one command, and the module behind it."""
    module = _load(command)
    parser = argparse.ArgumentParser(
        prog=f"azr {command.name}",
        description=module.SUMMARY,
        epilog=module.EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    module.add_arguments(parser)
    return parser, module


def _dispatch(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        if len(words) > 1 and words[0] == "help":
            return _dispatch([words[1], "--help"])
        print(_overview())
        return 0 if words else EXIT_USAGE
    if words[0] in ("-V", "--version"):
        print(f"azr {__version__}")
        return 0
    parser, module = parser_of(_find(words[0]))
    try:
        return module.run(_parse(parser, words[1:]))
    except SystemExit as ended:  # argparse prints its message and leaves; here every ending is a status
        return int(ended.code or 0)


def _parse(parser: argparse.ArgumentParser, words: list[str]) -> argparse.Namespace:
    """Like `parse_args`, but configuration overrides may stand behind options as well: argparse takes positional words
    in one go and would call the later ones unrecognised."""
    arguments, left = parser.parse_known_args(words)
    if left and (not hasattr(arguments, "overrides") or any("=" not in word or word[0] == "-" for word in left)):
        parser.error(f"unrecognized arguments: {' '.join(left)}")
    if left:
        arguments.overrides = [*arguments.overrides, *left]
    return arguments


def _find(name: str) -> Command:
    for command in COMMANDS:
        if command.name == name:
            return command
    what = "option" if name.startswith("-") else "command"
    known = [command.name for command in COMMANDS]
    raise UsageError(f"no {what} is called {name!r}; {did_you_mean(name, known)}", "azr --help lists the commands")


def _load(command: Command) -> CommandModule:
    try:
        return cast(CommandModule, importlib.import_module(command.module))
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] in ("azr", "actors", "learner", "sandbox_wasm"):
            raise
        raise AzrError(
            f"azr {command.name} needs the package {missing.name!r}, which is not installed",
            "in a checkout: make setup, or make setup EXTRA=gpu for cards; azr doctor shows what is missing",
        ) from missing


def _overview() -> str:
    width = max(len(command.name) for command in COMMANDS)
    rows = "\n".join(f"  {command.name:<{width}}  {command.summary}" for command in COMMANDS)
    return (
        "usage: azr [--debug] COMMAND ...\n\n"
        "Asynchronous actor-learner system for Absolute Zero self-play: a language model invents Python\n"
        "reasoning tasks, solves them, and learns from what running the code says.\n\n"
        f"commands:\n{rows}\n\n"
        "options of every command:\n"
        "  --help     arguments and examples\n"
        "  --debug    the traceback of an error\n\n"
        f"{_EXAMPLES}"
    ).rstrip()


if __name__ == "__main__":
    raise SystemExit(main())
