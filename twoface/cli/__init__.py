"""The command line: `photos`, `servers`, `search`, `training` hold the commands, each with its options."""

import contextlib
import io
import os
import select
import signal
import sys
import threading
from argparse import Namespace
from collections.abc import Iterator, Sequence
from types import FrameType

import twoface
from twoface.cli import photos, search, servers, training
from twoface.cli.options import Parser
from twoface.core.errors import InputError, TwoFaceError, is_out_of_memory, no_memory
from twoface.core.files import printable

OPTIONS = {  # an error's code -> the option that helps, which the core does not know of
    "exists": "--force",
    "mask_inverted": "--invert-mask",
    "mask_outside": "--face X0,Y0,X1,Y1",
    "no_face": "--face X0,Y0,X1,Y1",
    "no_gpu": "--device cpu",
    "nothing_found": "--hole NAME, --mask FILE",
    "same_photo": "--same-photo takes it all the same",
}
UNREAD = 128 + signal.SIGPIPE  # as of a program that this signal ends


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command -> exit code: 0 done, 2 bad input, 1 failure, 130 interrupted. An error is one line on stderr.

    SIGTERM and SIGHUP end it with SystemExit, 128 more than the signal, and leave no file half written. Where nobody
    reads what it prints (`| head`), it ends quietly with 141.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name that it cannot show ends no command
    try:
        args = _parser().parse_args(argv)
    except SystemExit as ended:  # --help, or a mistake
        raise SystemExit(_flush() or ended.code) from None
    with _unwound_by_signals():
        code = _run(args)
    return _flush() or code


def _run(args: Namespace) -> int:
    try:
        return args.run(args)
    except InputError as error:
        return _fail(_with_option(error), 2)
    except TwoFaceError as error:
        return _fail(_with_option(error), 1)
    except BrokenPipeError as error:
        return UNREAD if _is_unread() else _fail(error, 1)
    except OSError as error:
        return _fail(error, 1)
    except KeyboardInterrupt:
        return _fail("interrupted", 130)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        return _fail(no_memory(), 1)


def _with_option(error: TwoFaceError) -> str:
    """A TwoFaceError -> its message, and the option of `OPTIONS`."""
    option = OPTIONS.get(error.code)
    if option is None:
        return str(error)
    return f"{error} ({option.replace('--face', '--reference-face') if 'reference' in error.facts else option})"


@contextlib.contextmanager
def _unwound_by_signals() -> Iterator[None]:
    """What would end the process at once raises SystemExit instead; what is handled or ignored already stays so."""

    ended = []

    def end(number: int, _: FrameType | None) -> None:
        ended.append(128 + number)
        raise SystemExit(ended[0])

    numbers = [number for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) is signal.SIG_DFL]
    if threading.current_thread() is not threading.main_thread():
        numbers = []
    for number in numbers:
        signal.signal(number, end)
    try:
        yield
    except Exception:
        if not ended:
            raise
        raise SystemExit(ended[0]) from None  # a C library that was being imported makes an error of its own of it
    finally:
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)


def _is_unread() -> bool:
    """Whether what we print goes into a pipe that nobody reads any more."""
    poll = select.poll()
    poll.register(sys.stdout, 0)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))


def _flush() -> int:
    """Hand over what was printed -> 0; 141 where nobody reads it, 1 where it cannot be written; it is then dropped."""
    if sys.stdout is None:
        return 0
    try:
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            return UNREAD
        return _fail(f"cannot print what was done: {error.strerror}", 1)
    return 0


def _parser() -> Parser:
    parser = Parser(prog="twoface", description=twoface.__doc__, epilog="Start with: twoface fill --help")
    parser.add_argument("--version", action="version", version=f"twoface {twoface.__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for room in (photos, servers, search, training):
        room.add_commands(commands)
    return parser


def _fail(error: object, code: int) -> int:
    print("twoface:", printable(" ".join(str(error).split())), file=sys.stderr)
    return code
