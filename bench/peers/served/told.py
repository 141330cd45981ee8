"""Lines on standard input, a verb and a file -> a line on standard output when it is done: the peers in-process."""

import os
import sys


def serve(**verbs) -> None:
    """Say "ready", then do as told until there are no more lines."""
    print("ready", flush=True)
    for line in sys.stdin:
        verb, _, path = line.strip().partition(" ")
        verbs[verb](path)
        print("done", flush=True)


def set_up() -> None:
    """Django, with the peers' settings."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "bench.peers.served.settings"
    import django

    django.setup()
