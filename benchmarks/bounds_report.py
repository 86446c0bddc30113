"""The tables of `bounds.py`, as Markdown that also reads well in a terminal."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable
from typing import Any

from conformance.losses import DTYPES

CAUSES = (
    # framework, how the loss begins, output or both, dtypes or all, the cause
    ("torch", "binary_cross_entropy_with_logits", "value", "", "listed: (1 - y) x - log_sigmoid(x) cancels"),
    ("torch", "logsumexp", "gradient", "", "listed: exp(x - result) with the rounded result"),
    ("torch", "soft_margin_loss", "", "", "listed: log(1 + exp(-y x)) overflows"),
    ("torch", "softplus", "", "float64", "listed: returns x above its threshold of 20"),
    ("jax", "sigmoid", "", "float16", "1/(1 + exp(-x)): exp overflows at x < -11.09, so the result is 0"),
    ("optax", "cross_entropy, labels", "value", "", "listed: logsumexp(x) - x_y at the scale of the logits"),
    ("tensorflow", "binary_cross_entropy_with_logits, pos_weight", "value", "", "listed: terms cancel far below zero"),
    ("tensorflow", "cross_entropy", "", "float16 bfloat16", "listed: 16-bit exponentials are summed in 16 bits"),
    ("tensorflow", "log_softmax", "", "float16 bfloat16", "16-bit exponentials are summed in 16 bits"),
    ("tensorflow", "self_information", "gradient", "float32", "listed: the float32 reciprocal is approximate"),
    ("torch", "mean of", "", "float16", "count or sum of the rows overflows float16: the mean is 0 or NaN"),
    ("tensorflow", "mean of", "", "float16", "count or sum of the rows overflows float16: the mean is 0 or NaN"),
)
MANY = "1000 classes"
TIGHT = 0.2

Cells = dict[str, dict[tuple[str, str, str, str], list[float]]]
"""Per framework and (loss, output, dtype, regime): values, how many above, worst over bound, worst over sharp."""


def report(results: dict[str, Any]) -> str:
    cells: Cells = {
        name: {(key[0], key[1], key[2], key[3]): cell for text, cell in r["cells"].items() if (key := json.loads(text))}
        for name, r in results.items()
    }
    total = sum(int(cell[0]) for measured in cells.values() for cell in measured.values())
    versions = {f"{k} {v}" for r in results.values() for k, v in r["environment"].items() if k in (*results, "jaxlib")}
    lines = [
        "# How near the frameworks come to the bounds",
        "",
        "Written by `python benchmarks/bounds.py --markdown docs/bounds-evidence.md`. Do not edit.",
        "",
        f"{total:,} values compared on {platform.machine()}, {os.cpu_count()} cores: {', '.join(sorted(versions))},",
        f"Python {platform.python_version()}. Figures are the largest error over its bound; more than 1 is in bold.",
        "A figure near 1 says that the bound is reached, so it is not too wide.",
        "",
        "## By loss",
        "",
        f"All dtypes and regimes but `{MANY}` together, reduction none.",
        "",
        *_summary(cells),
        "",
        "## Above the bound",
        "",
        "`listed` causes are in the frameworks' lists of known deviations.",
        "",
        *_above(cells, results),
        "",
        f"## Bounds that no framework comes within {1 / TIGHT:g} times of",
        "",
        "Largest error over bound of the best framework that keeps the bound, over all regimes up to 100 classes. They",
        "hold one logarithm, which the published standard lets be several times less accurate than it is here.",
        "",
        *_loose(cells),
        "",
        "## Means over many rows",
        "",
        "Error of the framework's mean against the exact mean of its own row losses, over the bound of the reduction.",
        "The bound lets the rows be summed one after the other; trees stay far below it.",
        "",
        *_means(results),
        "",
        "## Every regime",
        "",
        "Largest error over bound / over the sharp grade, and the share of values above the bound where there are any.",
    ]
    for name, measured in cells.items():
        lines += ["", f"### {name}", "", *_every(measured)]
    return "\n".join(lines) + "\n"


def _summary(cells: Cells) -> list[str]:
    pairs = list(dict.fromkeys((key[0], key[1]) for measured in cells.values() for key in measured))
    rows = []
    for loss, output in pairs:
        row = []
        for measured in cells.values():
            found = [c[2] for k, c in measured.items() if k[:2] == (loss, output) and k[3] != MANY]
            row.append(_ratio(max(found)) if found else "")
        rows.append([loss, output, *row])
    return _table(["loss", "output", *cells], rows)


def _above(cells: Cells, results: dict[str, Any]) -> list[str]:
    """One row for each framework, loss and output with the regimes and dtypes that are above."""
    found: dict[tuple[str, str, str, str], list[tuple[str, str, float, float]]] = {}
    for name, measured in cells.items():
        for (loss, output, dtype, regime), cell in measured.items():
            if cell[2] > 1:
                key = (name, loss, output, cause(name, loss, output, dtype))
                found.setdefault(key, []).append((dtype, regime, cell[2], cell[1] / cell[0]))
    for name, result in results.items():
        for text, ratio in result["means"].items():
            loss, dtype, rows = json.loads(text)
            if ratio > 1:
                key = (name, f"mean of {loss}", "value", cause(name, f"mean of {loss}", "value", dtype))
                found.setdefault(key, []).append((dtype, f"{rows:,} rows", ratio, 1.0))
    rows = []
    for (name, loss, output, why), where in found.items():
        dtypes = ", ".join(dict.fromkeys(w[0] for w in where))
        regimes = ", ".join(dict.fromkeys(w[1] for w in where))
        worst, share = max(w[2] for w in where), max(w[3] for w in where)
        rows.append([name, loss, output, dtypes, regimes, _ratio(worst), f"{share:.1%}", why])
    return _table(["framework", "loss", "output", "dtypes", "regimes", "worst", "share", "cause"], rows)


def cause(framework: str, loss: str, output: str, dtype: str) -> str:
    for name, begins, outputs, dtypes, why in CAUSES:
        fits = output in (outputs or output) and dtype in (dtypes or dtype)
        if name == framework and loss.startswith(begins) and fits:
            return why
    return "**no cause named**"


def _loose(cells: Cells) -> list[str]:
    best: dict[tuple[str, str, str], float] = {}
    for measured in cells.values():
        mine: dict[tuple[str, str, str], float] = {}
        for (loss, output, dtype, regime), cell in measured.items():
            if regime != MANY:
                mine[loss, output, dtype] = max(cell[2], mine.get((loss, output, dtype), 0.0))
        for key, ratio in mine.items():
            if ratio <= 1:
                best[key] = max(ratio, best.get(key, 0.0))
    low = [[*key, f"{ratio:.3f}"] for key, ratio in best.items() if ratio < TIGHT and key[0] != "nll_loss"]
    exact = all(ratio == 0 for key, ratio in best.items() if key[0] == "nll_loss")
    note = ["", "nll_loss without a reduction is exact everywhere, and its bound is zero."] if exact else []
    return [*_table(["loss", "output", "dtype", "best"], low), *note]


def _means(results: dict[str, Any]) -> list[str]:
    keys = list(dict.fromkeys(text for result in results.values() for text in result["means"]))
    rows = []
    for text in sorted(keys, key=lambda text: (json.loads(text)[0], json.loads(text)[2])):
        loss, dtype, count = json.loads(text)
        figures = [result["means"].get(text) for result in results.values()]
        rows.append([loss, dtype, f"{count:,}", *("" if f is None else _ratio(f) for f in figures)])
    return _table(["loss", "dtype", "rows", *results], rows)


def _every(measured: dict[tuple[str, str, str, str], list[float]]) -> list[str]:
    rows = []
    for loss, output, regime in dict.fromkeys((k[0], k[1], k[3]) for k in measured):
        found = [measured.get((loss, output, dtype, regime)) for dtype in DTYPES]
        count = sum(int(cell[0]) for cell in found if cell)
        rows.append([loss, output, regime, f"{count:,}", *("" if cell is None else _cell(cell) for cell in found)])
    return _table(["loss", "output", "regime", "values", *DTYPES], rows, padded=False)


def _cell(cell: list[float]) -> str:
    share = f" ({cell[1] / cell[0]:.2%})" if cell[1] else ""
    return f"{_ratio(cell[2])} / {cell[3]:.2g}{share}"


def _ratio(ratio: float) -> str:
    return f"**{ratio:.3g}**" if ratio > 1 else f"{ratio:.2g}"


def _table(head: list[str], rows: Iterable[list[str]], *, padded: bool = True) -> list[str]:
    body = [head, *rows]
    widths = [max(len(row[i]) for row in body) if padded else 1 for i in range(len(head))]
    lines = ["| " + " | ".join(x.ljust(w) for x, w in zip(row, widths, strict=True)) + " |" for row in body]
    return [lines[0], "|" + "|".join("-" * (w + 2) for w in widths) + "|", *lines[1:]]
