"""GraphiQL's files, out of npm and into the wheel. setuptools runs this; it is no part of the package."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.errors import ExecError

WEB = Path(__file__).resolve().parent
#: build.mjs writes this file last: where it is, all the others are too.
BUILT = WEB / "static" / "graphiql" / "built"


class Wheel(bdist_wheel):
    """A wheel always has GraphiQL. An editable install, which is no wheel of this kind, may do without."""

    def run(self) -> None:
        # Before the files of the package are collected.
        if not BUILT.exists():
            build()
        super().run()


def build() -> None:
    """`npm ci` and `npm run build`; raises ExecError, with what to do, where they cannot be run."""
    npm = shutil.which("npm")
    if npm is None:
        raise ExecError(
            f"bulkql's wheel holds GraphiQL, and {BUILT.parent} is not built: npm was not found. "
            "Install Node.js 20 or newer with npm, and build the wheel again."
        )
    for arguments in (["ci"], ["run", "build"]):
        done = subprocess.run([npm, *arguments], cwd=WEB, capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode:
            raise ExecError(
                f"bulkql's wheel holds GraphiQL, and `npm {' '.join(arguments)}` in {WEB} failed:\n"
                f"{done.stdout}{done.stderr}\n"
                "Give npm access to its registry, or run `make setup` where it has it, and build the wheel again."
            )
