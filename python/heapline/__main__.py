"""`python -m heapline ARG...`: the heapline command, recording with this interpreter unless told otherwise."""

import os
import sys

from heapline import command_path


def main():
    arguments = sys.argv[1:]
    if arguments[:1] == ["run"]:
        arguments[1:1] = ["--python", sys.executable]
    try:
        command = command_path()
    except FileNotFoundError as error:
        sys.exit(f"heapline: {error}")
    os.execv(command, ["heapline", *arguments])


if __name__ == "__main__":
    main()
