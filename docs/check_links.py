"""Check that every link of the built pages leads somewhere; nothing is fetched.

    python docs/check_links.py docs/_build/html README.md CONTRIBUTING.md

Folders are searched for HTML pages. A link to a file needs the file, and a link to an
anchor needs an element of that id or name. Hosts of the links to other sites must be
listed in HOSTS, so that a mistyped address is found. Of Markdown files, the links to
files are checked. The script prints each dead link, and exits with 1 if there is one.
"""
# SPDX-License-Identifier: BSD-3-Clause

import re
import sys
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

HOSTS = {
    "docs.python.org",
    "scikit-learn.org",
    "skops.readthedocs.io",
    "sphinx-gallery.github.io",
    "www.sphinx-doc.org",
}
# Links in Markdown that are not images of a badge: [text](target).
MARKDOWN_LINK = re.compile(r"\]\(\s*([^\s()]+)")


class Page(HTMLParser):
    """The links and the anchors of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors = {"", "top"}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect what a tag links to, and its own names."""
        for name, value in attrs:
            if name in ("href", "src") and value:
                self.links.append(value)
            elif name in ("id", "name") and value:
                self.anchors.add(value)


@cache
def page(path: Path) -> Page:
    """Read a page once."""
    return Page(path.read_text(encoding="utf-8"))


def problem(source: Path, link: str) -> str | None:
    """Return why a link of a file is dead, or None."""
    parts = urlsplit(link)
    if parts.scheme in ("http", "https") or parts.netloc:
        return None if parts.netloc in HOSTS else "unknown host"
    if parts.scheme:
        return None if parts.scheme in ("data", "mailto") else "unknown scheme"
    target = source.parent / unquote(parts.path) if parts.path else source
    target = target.resolve()
    if not target.exists():
        return "no such file"
    if target.suffix == ".html" and unquote(parts.fragment) not in page(target).anchors:
        return "no such anchor"
    return None


def links(source: Path) -> list[str]:
    """Return the links of an HTML page or of a Markdown file."""
    if source.suffix == ".html":
        return page(source).links
    return MARKDOWN_LINK.findall(source.read_text(encoding="utf-8"))


def main(places: list[str]) -> int:
    """Check files and folders; return the number of dead links."""
    sources = []
    for place in map(Path, places):
        # Below `_static` are templates of the theme, which are not pages.
        pages = (p for p in place.rglob("*.html") if "_static" not in p.parts)
        sources += sorted(pages) if place.is_dir() else [place]
    n_links = n_dead = 0
    for source in sources:
        for link in links(source):
            n_links += 1
            if found := problem(source.resolve(), link):
                n_dead += 1
                print(f"{source}: {link}: {found}")
    print(f"{n_links} links in {len(sources)} files, {n_dead} dead")
    return n_dead


if __name__ == "__main__":
    sys.exit(bool(main(sys.argv[1:])))
