"""Results in JSON -> an SVG chart: bars of x limit, and marks where the targets are.

matplotlib draws it, in an environment of its own: neither the service nor its tests need it.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from bench.environment import environment
from bench.report import RESULTS

MATPLOTLIB = "matplotlib==3.11.2"
DRAWING = Path(__file__).with_name("drawing.py")


def draw(name: str) -> Path:
    """Draw the results of that name; gives the chart's path."""
    python = environment("chart", MATPLOTLIB).command("python")
    chart = RESULTS / f"{name}.svg"
    subprocess.run([python, str(DRAWING), str(RESULTS / f"{name}.json"), str(chart)], check=True)
    return chart
