"""A pytest plugin: a database and Redis, before Django reads its settings."""

from __future__ import annotations

import atexit
import os
import subprocess
import tempfile
from contextlib import ExitStack
from pathlib import Path

from bulkql.server import embedded
from tests.databases import database

stack = ExitStack()
atexit.register(stack.close)

directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bulkql-tests-")))
# The server's own user must be able to enter.
directory.chmod(0o755)
os.environ["SECRET_KEY"] = "a secret for tests alone, as long as Django wants its secrets to be"
os.environ["BULKQL_APPS"] = "bulkql.examples.ledger,bulkql.examples.places,tests.zoo"
os.environ["DATABASE_URL"] = stack.enter_context(database(directory))

command, os.environ["REDIS_URL"] = embedded.redis_command(directory)
redis = subprocess.Popen(command, stdout=subprocess.DEVNULL)
stack.callback(redis.wait)
stack.callback(redis.terminate)
