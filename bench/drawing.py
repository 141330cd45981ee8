"""`python drawing.py RESULTS.json CHART.svg`, in the chart's environment (chart.py)."""

import json
import sys
from pathlib import Path

import matplotlib as mpl

mpl.use("svg")
from matplotlib import pyplot as plt

MET, MISSED, PEER, INK = "#2a7f62", "#c8553d", "#8d99ae", "#2b2d42"


def main(results: Path, chart: Path) -> None:
    """The cases that have a limit, or the peers beside each other."""
    found = json.loads(results.read_text())
    # The same figures give the same file.
    mpl.rcParams.update({"svg.hashsalt": "bulkql", "svg.fonttype": "none", "font.family": "sans-serif"})
    figure = of_peers(found) if "peers" in found else of_cases(found)
    figure.text(0.01, 0.005, conditions(found), fontsize=7, color="#6c757d", va="bottom")
    figure.savefig(chart, metadata={"Date": None})


def of_cases(found: dict) -> plt.Figure:
    """A bar for each case with a ratio, a mark for its target; the limit is the line at 1."""
    bars = [
        (f"{case['title']}, {case['rows']:,} rows", target["value"], target["most"], target["is_met"])
        for case in found["cases"]
        for target in case["targets"]
        if target["measure"] == "ratio"
    ][::-1]
    figure, axes = plt.subplots(figsize=(9, 1.3 + 0.36 * len(bars)), layout="constrained")
    places = range(len(bars))
    axes.barh(places, [bar[1] for bar in bars], color=[MET if bar[3] else MISSED for bar in bars], height=0.62)
    for place, (_, value, most, _) in zip(places, bars, strict=True):
        beside = {"xytext": (5, 0), "textcoords": "offset points", "va": "center"}
        axes.annotate(f"{value:.2f}", (max(value, most), place), fontsize=8, color=INK, **beside)
        axes.plot([most, most], [place - 0.42, place + 0.42], color=INK, linewidth=2)
    axes.plot([], [], color=INK, linewidth=2, label="target")
    axes.axvline(
        1, color=INK, linewidth=0.8, linestyle=":", label="limit: PostgreSQL itself; of bad rows, our own clean run"
    )
    return finished(figure, axes, [bar[0] for bar in bars], "x limit (less is faster)")


def of_peers(found: dict) -> plt.Figure:
    """A bar for each peer and verb, on a logarithmic scale."""
    bars = [
        (f"{peer['title']}: {run['verb']}, {run['rows']:,} rows", run["ratio"], peer["name"] == "bulkql")
        for verb in ("upsert", "create")
        for peer in sorted(found["peers"], key=lambda one: -ratio_of(one, verb))
        for run in peer["runs"]
        if run["verb"] == verb
    ]
    figure, axes = plt.subplots(figsize=(9, 1.3 + 0.34 * len(bars)), layout="constrained")
    drawn = axes.barh(
        range(len(bars)), [bar[1] for bar in bars], color=[MET if bar[2] else PEER for bar in bars], height=0.62
    )
    axes.bar_label(drawn, [f"{bar[1]:.1f}" for bar in bars], padding=4, fontsize=8, color=INK)
    axes.set_xscale("log")
    axes.axvline(1, color=INK, linewidth=0.8, linestyle=":", label="limit: PostgreSQL itself")
    return finished(figure, axes, [bar[0] for bar in bars], "x limit, logarithmic (less is faster)")


def ratio_of(peer: dict, verb: str) -> float:
    """Of one verb; none is slowest."""
    return next((run["ratio"] for run in peer["runs"] if run["verb"] == verb), 0)


def finished(figure: plt.Figure, axes: plt.Axes, labels: list[str], title: str) -> plt.Figure:
    """With labels, without frame."""
    axes.set_yticks(range(len(labels)), labels, fontsize=8)
    axes.set_xlabel(title, fontsize=8)
    axes.tick_params(axis="x", labelsize=8)
    axes.margins(x=0.08, y=0.01)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    figure.legend(loc="outside upper right", fontsize=8, frameon=False, ncols=2)
    figure.get_layout_engine().set(rect=(0, 0.03, 1, 0.97))
    return figure


def conditions(found: dict) -> str:
    """In one line."""
    machine = found["machine"]
    return (
        f"{found['date'][:10]}, commit {found['commit']}, {machine['cpus']} x {machine['model']}, "
        f"PostgreSQL {found['postgresql']['server_version']}, Python {found['versions']['python']}"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
