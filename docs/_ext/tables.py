"""Write the tables of the page of benchmarks, from stored results and from the scripts.

The tables are written to the folder docs/_tables, which is not under version control,
before Sphinx reads the pages.
"""
# SPDX-License-Identifier: BSD-3-Clause

import ast
import json
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

GENERATION = {
    "method": "{}",
    "frechet_distance": "{:.2f}",
    "density": "{:.2f}",
    "coverage": "{:.2f}",
    "copies": "{:.3f}",
    "fit_s": "{:.0f}",
    "sample_s_per_1000": "{:.2f}",
}
# Columns of the table of each file of results: name of the figure and its format.
COLUMNS = {
    "generation": GENERATION,
    "generation_15min": GENERATION,
    "diffusion": {
        "variant": "{}",
        "images seen": "{:,}",
        "error, test": "{:.3f}",
        "frechet_distance": "{:.1f}",
        "s per 1,000 draws": "{:.1f}",
    },
    "refinement": {
        "images": "{}",
        "method": "{}",
        "fit s": "{:.2f}",
        "distance": "{:.2f}",
        "flag rate": "{:.3f}",
        "AUC frozen": "{:.2f}",
        "AUC re-trained": "{:.3f}",
        "PSNR": "{:.1f}",
        "Frechet": "{:.1f}",
    },
}
# Tables that are sorted, and the figure by which they are sorted in increasing order.
BEST_FIRST = dict.fromkeys(["generation", "generation_15min"], "frechet_distance")
HEADINGS = {
    "frechet_distance": "Fréchet distance",
    "copies": "near copies",
    "fit_s": "fit, s",
    "fit s": "fit, s",
    "distance": "distance of mean spectra",
    "flag rate": "fraction flagged",
    "AUC frozen": "AUC, frozen detector",
    "AUC re-trained": "AUC, re-trained detector",
    "PSNR": "PSNR, dB",
    "s per 1,000 draws": "draws, s per 1,000",
    "sample_s_per_1000": "draws, s per 1,000",
    "error, test": "error of test images ÷ error of the Gaussian",
    "Frechet": "Fréchet distance",
}


def write_tables(app: Sphinx) -> None:
    """Write all tables as Markdown."""
    docs = Path(app.srcdir)
    out = docs / "_tables"
    out.mkdir(exist_ok=True)
    for name, columns in COLUMNS.items():
        report = json.loads((docs / f"{name}.json").read_text())
        text = results(report, columns, BEST_FIRST.get(name))
        (out / f"{name}.md").write_text(text)
    scripts = sorted((docs.parent / "benchmarks").glob("bench_*.py"))
    scripts.append(docs.parent / "benchmarks/generation/run.py")
    (out / "scripts.md").write_text("\n".join(map(usage, scripts)))


def results(report: Any, columns: dict[str, str], order: str | None) -> str:
    """Return the table of a report, preceded by the description of the machine."""
    lines = []
    if isinstance(report, dict):
        machine = (f"{key} {value}" for key, value in report["machine"].items())
        lines += ["; ".join(machine) + ".", ""]
        report = report["results"]
    lines.append(line(HEADINGS.get(name, name) for name in columns))
    lines.append(line("---" for _ in columns))
    if order is not None:
        report = sorted(report, key=lambda row: row[order])
    for row in report:
        shown = [cell(form, row.get(name)) for name, form in columns.items()]
        lines.append(line(shown))
    return "\n".join(lines) + "\n"


def line(cells: Any) -> str:
    """Return one row of a table."""
    return "| " + " | ".join(cells) + " |"


def cell(form: str, value: Any) -> str:
    """Return a figure as text, or an empty text for None."""
    return "" if value is None else form.format(value)


def usage(script: Path) -> str:
    """Return the first line of a script's docstring and its example commands."""
    lines = (ast.get_docstring(ast.parse(script.read_text())) or "").splitlines()
    calls = [text.strip() for text in lines if text.startswith("    python ")]
    parts = [f"**{lines[0]}**", "", "```bash", *calls, "```", ""]
    return "\n".join(parts)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension with Sphinx."""
    app.connect("builder-inited", write_tables)
    return {"parallel_read_safe": True}
