"""What goes wrong: each kind of fault, done to the running stack."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import psutil
import psycopg
import redis
from dramatiq import Message
from dramatiq.brokers.redis import RedisBroker

from bulkql.workers.messaging.servers import next_database
from tests.acceptance.service import wait_for
from tests.faults.disks import Disk
from tests.faults.points.clocks import file_of
from tests.faults.stack import Stack, children_of

#: Seconds: Redis and a worker that are stopped, connections that are stalled.
REDIS_STOPPED, WORKER_STOPPED, STALLED = 10, 35, 4
#: Seconds for which a disk is full and a clock is wrong, and by how many the clock is.
FULL, WRONG, HOUR = 3, 12, 3_600
#: Seconds in which what was killed is started again by its supervisor.
RESTART = 90

OPEN = """
SELECT 'write_chunk', chunk.id::text, coalesce(input.total, 1001) FROM bulkql_chunk chunk JOIN bulkql_input input
    ON input.id = input_id WHERE recorded_at IS NULL AND chunk.dispatched_at IS NOT NULL
UNION ALL SELECT 'read_input', id::text, 1001 FROM bulkql_input WHERE read_at IS NULL AND dispatched_at IS NOT NULL
UNION ALL SELECT 'write_operation', id::text, 1001 FROM bulkql_operation
    WHERE finished_at IS NULL AND dispatched_at IS NOT NULL
"""
OTHERS = "FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
REVERSE = """
local ids = redis.call('lrange', KEYS[1], 0, -1)
if #ids > 1 then
    redis.call('del', KEYS[1])
    for i = #ids, 1, -1 do redis.call('rpush', KEYS[1], ids[i]) end
end
return #ids
"""


class Faults:
    """Each kind by its name; a kind takes the process that stands at a named point, if one does."""

    def __init__(self, stack: Stack, dice: random.Random) -> None:
        self._stack = stack
        self._dice = dice
        self._database = stack.service.state["DATABASE_URL"]
        self._queue = next_database(stack.service.state["REDIS_URL"])
        self.kinds: dict[str, Callable[[int | None], str]] = {
            "kill worker": self.kill_worker,
            "kill worker master": self.kill_master,
            "stop worker 35 s": self.stop_worker,
            "kill web": self.kill_web,
            "kill Redis": self.kill_redis,
            "FLUSHALL": self.flush,
            "stop Redis 10 s": self.stop_redis,
            "kill PostgreSQL": self.kill_postgres,
            "PostgreSQL, immediate stop": self.stop_postgres,
            "kill a database backend": self.crash_backend,
            "terminate a database backend": self.terminate_backend,
            "terminate all backends": self.terminate_backends,
            "cut worker-database": self.cut_database,
            "stall worker-database 4 s": self.stall_database,
            "cut worker-Redis": self.cut_redis,
            "stall worker-Redis 4 s": self.stall_redis,
            "double messages": self.double,
            "reorder messages": self.reorder,
            "clock off by an hour": self.move_clock,
        }
        #: Kinds that this machine does not allow, and why.
        self.left_out: dict[str, str] = {}
        if isinstance(stack.disk, Disk):
            self.kinds["disk full"] = self.fill_disk
        else:
            self.left_out["disk full"] = stack.disk

    def kill_worker(self, at: int | None) -> str:
        workers = {one.pid: one for one in self._stack.workers()}
        victim = workers.get(at or 0) or (self._dice.choice(list(workers.values())) if workers else None)
        if victim is None:
            return "there was none"
        with suppress(psutil.NoSuchProcess):
            victim.kill()
        return f"pid {victim.pid}"

    def kill_master(self, at: int | None) -> str:
        masters = self._stack.masters()
        of_point = [one for one in masters if at in [child.pid for child in children_of(one.pid)]]
        if not masters:
            return "there was none"
        victim = (of_point or [self._dice.choice(masters)])[0]
        with suppress(psutil.NoSuchProcess):
            victim.kill()
        return f"pid {victim.pid}"

    def stop_worker(self, at: int | None) -> str:
        """Longer than its lease: somebody else takes over, and it must notice when it goes on."""
        workers = self._stack.workers()
        chosen = [one for one in workers if one.pid == at] or workers
        if not chosen:
            return "there was none"
        victim = self._dice.choice(chosen)
        with suppress(psutil.NoSuchProcess):
            victim.suspend()
            time.sleep(WORKER_STOPPED)
            victim.resume()
        return f"pid {victim.pid}"

    def kill_web(self, at: int | None) -> str:
        return self._kill("web")

    def kill_redis(self, at: int | None) -> str:
        told = self._kill("redis")
        self._until(self._redis_is_up)
        return told

    def flush(self, at: int | None) -> str:
        with suppress(redis.RedisError), self._stack.service.redis() as client:
            client.flushall()
        return ""

    def stop_redis(self, at: int | None) -> str:
        for server in self._stack.supervisor.named("redis"):
            with suppress(psutil.NoSuchProcess):
                server.suspend()
                time.sleep(REDIS_STOPPED)
                server.resume()
        return ""

    def kill_postgres(self, at: int | None) -> str:
        told = self._kill("postgres")
        self._until(self._database_is_up)
        return told

    def stop_postgres(self, at: int | None) -> str:
        for server in self._stack.supervisor.named("postgres"):
            with suppress(psutil.NoSuchProcess):
                server.send_signal(signal.SIGQUIT)
            # By poll, as the supervisor does: psutil's wait would take the exit code away from it.
            self._until(partial(has_ended, server))
        self._until(self._database_is_up)
        return ""

    def crash_backend(self, at: int | None) -> str:
        """kill -9 of one: PostgreSQL throws all others out, and recovers."""
        pids = self._sql(f"SELECT pid {OTHERS} ORDER BY state = 'active' DESC, xact_start NULLS LAST LIMIT 1")
        for (pid,) in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.1)  # it notices by itself
        self._until(self._database_is_up)
        return f"pid {pids}"

    def terminate_backend(self, at: int | None) -> str:
        busy = f"SELECT pid {OTHERS} ORDER BY state = 'idle', xact_start NULLS LAST LIMIT 1"
        return str(self._sql(f"SELECT pg_terminate_backend(pid) FROM ({busy}) AS one"))

    def terminate_backends(self, at: int | None) -> str:
        return f"{len(self._sql(f'SELECT pg_terminate_backend(pid) {OTHERS}'))} backends"

    def cut_database(self, at: int | None) -> str:
        self._stack.proxies["database"].tell("cut")
        return ""

    def cut_redis(self, at: int | None) -> str:
        self._stack.proxies["redis"].tell("cut")
        return ""

    def stall_database(self, at: int | None) -> str:
        return self._stall("database")

    def stall_redis(self, at: int | None) -> str:
        return self._stall("redis")

    def double(self, at: int | None) -> str:
        """All messages of what goes on, once more, in any order."""
        messages = self._sql(OPEN)
        self._dice.shuffle(messages)
        broker = RedisBroker(url=self._queue, namespace="bulkql", middleware=[])  # type: ignore[no-untyped-call]
        with suppress(Exception):  # dramatiq's errors of a Redis that is away have many names
            for actor, identifier, rows in messages:
                queue = "small" if rows <= 1_000 else "default"
                name = actor.replace("_", "_small_", 1) if queue == "small" else actor
                argument = identifier if actor == "write_operation" else int(identifier)
                broker.declare_queue(queue)
                broker.enqueue(Message(queue_name=queue, actor_name=name, args=(argument,), kwargs={}, options={}))
        broker.client.close()
        return f"{len(messages)} messages"

    def reorder(self, at: int | None) -> str:
        count = 0
        with suppress(redis.RedisError), redis.Redis.from_url(self._queue) as client:
            count = sum(int(client.eval(REVERSE, 1, f"bulkql:{queue}")) for queue in ("default", "small"))
        return f"{count} messages"

    def fill_disk(self, at: int | None) -> str:
        """The database's tables and its log are on it: it refuses to write, or it stops until there is room."""
        disk = self._stack.disk
        assert isinstance(disk, Disk)
        try:
            size = disk.fill()
            time.sleep(FULL)
        finally:
            disk.free()
        self._until(self._database_is_up)
        return f"{size / 1e6:,.0f} MB"

    def move_clock(self, at: int | None) -> str:
        """Of one process, be it a web process or a worker, for a while."""
        pids = [one.pid for one in (*self._stack.workers(), *self._stack.web())]
        if not pids:
            return "there was none"
        pid = at if at in pids else self._dice.choice(pids)
        seconds = self._dice.choice((-HOUR, HOUR))
        file = file_of(self._stack.points, pid)
        file.write_text(str(seconds))
        time.sleep(WRONG)
        file.unlink(missing_ok=True)  # or it was moved again meanwhile
        return f"pid {pid}, {seconds} s"

    def in_hand(self) -> set[tuple[str, str]]:
        """What was dispatched and is not done: (actor, id)."""
        return {(actor, identifier) for actor, identifier, _ in self._sql(OPEN)}

    def _kill(self, program: str) -> str:
        victims = self._stack.supervisor.named(program)
        for victim in victims:
            with suppress(psutil.NoSuchProcess):
                victim.kill()
        return f"pid {[victim.pid for victim in victims]}"

    def _stall(self, proxy: str) -> str:
        self._stack.proxies[proxy].tell("stall")
        time.sleep(STALLED)
        self._stack.proxies[proxy].tell("go")
        return ""

    def _sql(self, query: str) -> list[tuple[object, ...]]:
        """What the database answers; nothing where it is away."""
        try:
            with psycopg.connect(self._database, autocommit=True, connect_timeout=5) as connection:
                return connection.execute(query).fetchall()
        except psycopg.Error:
            return []

    def _until(self, is_up: Callable[[], bool]) -> None:
        wait_for(is_up, RESTART, "a server to be back")

    def _redis_is_up(self) -> bool:
        try:
            with self._stack.service.redis() as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    def _database_is_up(self) -> bool:
        return self._sql("SELECT 1") == [(1,)]


def has_ended(process: psutil.Popen) -> bool:
    return process.poll() is not None
