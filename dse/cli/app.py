"""The program: its callback, and how an error, an interrupt and a request to end leave it."""

from __future__ import annotations

import os
import signal
import sys
from typing import Annotated, Any, NoReturn

import typer

from dse import __version__
from dse.cli.printing import fail

app = typer.Typer(
    help="Choose the encoding and the array of an xnor-popcount accelerator before the chip exists.",
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """Entry point: bad input is one line and exit code 2, an interrupt 130, a request to end 143."""
    before = signal.signal(signal.SIGTERM, _end)
    try:
        code = app(standalone_mode=False)
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except _Ended:
        code = ENDED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        fail(error.strerror if error.filename is None else f"{error.filename}: {error.strerror}", 2)
    except (ValueError, OverflowError) as error:
        fail(str(error), 2)
    except UsageError as error:
        fail(_usage(error), 2)
    finally:
        signal.signal(signal.SIGTERM, before)
    if code in (INTERRUPTED, ENDED):
        fail("interrupted; what is finished is kept, run it again with --resume", code)
    sys.exit(code)


INTERRUPTED, ENDED = 130, 143
UsageError: type[Exception] = typer.BadParameter.__mro__[1]
"""Typer brings its own copy of this class in new versions and click's in old ones."""


class _Ended(BaseException):
    """SIGTERM, so that what must be undone is undone."""


def _end(_number: int, _frame: object) -> NoReturn:
    raise _Ended


def _usage(error: Any) -> str:
    """What is wrong with the arguments, and where to read what they must be."""
    message = str(error.format_message())
    end = "" if message.endswith((".", "?")) else "."
    return f"{message}{end} See `{error.ctx.command_path if error.ctx else 'dse'} -h`."


def _version(wanted: bool) -> None:
    if wanted:
        print(f"dse {__version__}")
        raise typer.Exit()


@app.callback()
def _root(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    del version
    if context.invoked_subcommand is None:
        print(context.get_help())
