"""Programs that are started again when they die, as an orchestrator does; each is a child of this process."""

from __future__ import annotations

import signal
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path

import psutil

#: Seconds in which a program stops when it is asked to.
STOP = 30


@dataclass(frozen=True)
class Program:
    """What is run; stopped by its signal, the last first."""

    command: list[str]
    environment: dict[str, str]
    stop_signal: signal.Signals = signal.SIGTERM


class Supervisor:
    """Runs programs by their names."""

    def __init__(self, logs: Path) -> None:
        logs.mkdir()
        self._logs = logs
        self._programs: dict[str, Program] = {}
        self._running: dict[str, psutil.Popen] = {}
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def add(self, name: str, program: Program) -> None:
        self._running[name] = self._start(name, program)
        self._programs[name] = program

    def process(self, name: str) -> psutil.Popen:
        """The program's process; it may have died this moment."""
        return self._running[name]

    def named(self, beginning: str) -> list[psutil.Popen]:
        """Those that live, of all whose name begins so."""
        found = [process for name, process in list(self._running.items()) if name.startswith(beginning)]
        return [process for process in found if process.poll() is None]

    def stop(self) -> None:
        """Ask all to stop, whoever came last first."""
        self._is_over.set()
        self._thread.join()
        for name in reversed(self._programs):
            process = self._running[name]
            if process.poll() is None:
                process.send_signal(self._programs[name].stop_signal)
        for process in reversed(self._running.values()):
            try:
                process.wait(STOP)
            except psutil.TimeoutExpired:
                process.kill()
                process.wait()

    def _watch(self) -> None:
        while not self._is_over.wait(0.1):
            for name, program in list(self._programs.items()):
                if self._running[name].poll() is not None:
                    self._running[name] = self._start(name, program)

    def _start(self, name: str, program: Program) -> psutil.Popen:
        with (self._logs / f"{name}.log").open("ab") as log:
            return psutil.Popen(
                program.command,
                env=program.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Ctrl-C is for us; we tell it.
                start_new_session=True,
            )
