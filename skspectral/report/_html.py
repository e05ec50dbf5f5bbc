"""HTML of a report: the page, and its sections, tables, pictures and sounds."""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from string import Template
from typing import Any

_PAGE = Template("""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
:root { color-scheme: light dark; }
body { margin: 0; font: 1rem/1.5 system-ui, sans-serif; }
main { max-width: 68rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.7rem; line-height: 1.2; }
h2 { font-size: 1.25rem; margin: 2.2rem 0 0.6rem; }
p { max-width: 44rem; }
img { max-width: 100%; height: auto; background: white; border-radius: 4px; }
audio { width: 100%; max-width: 24rem; }
figure { margin: 0; }
figcaption { margin-top: 0.2rem; }
table { border-collapse: collapse; }
th, td { padding: 0.25rem 1.2rem 0.25rem 0; text-align: left; vertical-align: top; }
th { font-weight: normal; opacity: 0.75; }
tr { border-bottom: 1px solid rgb(128 128 128 / 0.3); }
.side { display: flex; flex-wrap: wrap; gap: 1.5rem; }
.side > figure { flex: 1 1 20rem; }
.atoms { display: grid; gap: 0.9rem; padding: 0; list-style: none;
  grid-template-columns: repeat(auto-fill, minmax($tile, 1fr)); }
.atoms img { width: 100%; }
.atoms figcaption { font-size: 0.85rem; line-height: 1.3; }
pre { padding: 0.6rem 0.8rem; overflow-x: auto; border-radius: 4px;
  background: rgb(128 128 128 / 0.15); }
</style>
</head>
<body>
<main>
<h1>$title</h1>
<p>$lead</p>
$sections
</main>
</body>
</html>
""")


def page(title: str, lead: str, sections: Iterable[str], tile: str) -> str:
    """Return the whole page.

    ``tile`` is the smallest width of the picture of an atom, in units of CSS.
    """
    return _PAGE.substitute(
        title=escape(title), lead=escape(lead), sections="\n".join(sections), tile=tile
    )


def section(title: str, *parts: str) -> str:
    """Return a section with a heading."""
    content = "\n".join(parts)
    return f"<section>\n<h2>{escape(title)}</h2>\n{content}\n</section>"


def paragraph(text: str) -> str:
    """Return a paragraph of plain text."""
    return f"<p>{escape(text)}</p>"


def table(facts: Mapping[str, Any]) -> str:
    """Return a table with one row per fact, which has a name and a value."""
    rows = "\n".join(
        f'<tr><th scope="row">{escape(str(name))}</th>'
        f"<td>{escape(str(value))}</td></tr>"
        for name, value in facts.items()
    )
    return f"<table>\n{rows}\n</table>"


def commands(lines: Sequence[str]) -> str:
    """Return commands that the reader can copy, one block per line."""
    return "\n".join(f"<pre><code>{escape(line)}</code></pre>" for line in lines)


def picture(data: str, alt: str, caption: str) -> str:
    """Return a picture with a caption."""
    return (
        f'<figure><img src="{data}" alt="{escape(alt)}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def player(data: str, caption: str) -> str:
    """Return an audio player with a caption."""
    return (
        f"<figure><figcaption>{escape(caption)}</figcaption>"
        f'<audio controls src="{data}"></audio></figure>'
    )


def side_by_side(figures: Iterable[str]) -> str:
    """Return figures that stand side by side if the window is wide enough."""
    return '<div class="side">\n' + "\n".join(figures) + "\n</div>"


def atoms(figures: Iterable[str]) -> str:
    """Return a list of small figures; the window determines the number of columns."""
    items = "\n".join(f"<li>{figure}</li>" for figure in figures)
    return f'<ol class="atoms">\n{items}\n</ol>'
