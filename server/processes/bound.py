"""A command that ends with whoever started it: `python bound.py [--signal TERM] [--user NAME] COMMAND ...`

A file of its own that imports nothing of ours: it is run by its path before each server, and takes its place.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import signal
import sys

#: prctl's PR_SET_PDEATHSIG. Linux has it; elsewhere a supervisor that is killed leaves its children.
SET_PARENT_DEATH_SIGNAL = 1


def bind(number: signal.Signals, parent: int) -> None:
    """Have this process sent a signal when its parent ends, however it ends; at once if it is gone already."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(SET_PARENT_DEATH_SIGNAL, number)
        # A parent that died before the line above will not die again.
        if os.getppid() != parent:
            os.kill(os.getpid(), number)


def become(name: str) -> None:
    """Give up root for a user: PostgreSQL refuses to run as root."""
    import pwd

    user = pwd.getpwnam(name)
    os.setgroups([])
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)


def main() -> None:
    """Become the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--signal", default="TERM", help="what it is sent when its parent ends")
    parser.add_argument("--user", help="whom it runs as")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    arguments = parser.parse_args()
    parent = os.getppid()
    if arguments.user:
        become(arguments.user)
    # After the change of user, which takes it back.
    bind(signal.Signals[f"SIG{arguments.signal}"], parent)
    os.execvp(arguments.command[0], arguments.command)  # noqa: S606


if __name__ == "__main__":
    main()
