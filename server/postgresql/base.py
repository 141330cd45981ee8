"""Connections that died in the pool -> living ones.

psycopg's pool sleeps one second, two, four after each connection that it finds dead: six of them, as a database leaves
that was started again, take longer than its clients wait. Here dead connections are replaced one after the other.
"""

from __future__ import annotations

import time
from typing import Any

import psycopg
from django.db.backends.postgresql import base
from psycopg_pool import ConnectionPool


class DatabaseWrapper(base.DatabaseWrapper):
    """Takes from the pool what lives. CONN_HEALTH_CHECKS, by which the pool itself looks, and waits, is to be off."""

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """A living connection, of the pool where there is one; PoolTimeout after twice the pool's `timeout`."""
        deadline = time.monotonic() + (self.pool.timeout if self.pool else 0)
        while True:
            connection = super().get_new_connection(conn_params)
            if self.pool is None:
                return connection
            try:
                ConnectionPool.check_connection(connection)
            except psycopg.Error:
                # The pool closes it, and opens another in its background.
                self.pool.putconn(connection)
                if time.monotonic() > deadline:
                    raise
            else:
                return connection
