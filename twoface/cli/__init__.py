"""The command line: `photos`, `servers`, `search`, `training` hold the commands, each with its options."""

import sys

import twoface
from twoface.cli import photos, search, servers, training
from twoface.cli.options import Parser
from twoface.errors import InputError, TwoFaceError


def main(argv=None):
    """Run a command -> exit code: 0 done, 2 bad input, 1 failure, 130 interrupted. An error is one line on stderr."""
    args = _parser().parse_args(argv)
    try:
        return args.run(args)
    except InputError as error:
        return _fail(error, 2)
    except (TwoFaceError, OSError) as error:
        return _fail(error, 1)
    except KeyboardInterrupt:
        return _fail("interrupted", 130)


def _parser():
    parser = Parser(prog="twoface", description=twoface.__doc__, epilog="Start with: twoface fill --help")
    parser.add_argument("--version", action="version", version=f"twoface {twoface.__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for room in (photos, servers, search, training):
        room.add_commands(commands)
    return parser


def _fail(error, code):
    print("twoface:", " ".join(str(error).split()), file=sys.stderr)
    return code
