"""The tools of the documentation find what they are made to find."""

import importlib.util
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


def load(name):
    """Import a script of the documentation, which is no package."""
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def pages(tmp_path):
    """Two pages with links that all lead somewhere."""
    (tmp_path / "a.png").write_bytes(b"")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b c.html").write_text('<h1 id="été">B</h1><a href="#été">')
    (tmp_path / "index.html").write_text(
        '<p id="here"><a href="#here">1</a><a href="#">2</a><img src="a.png">'
        '<a href="sub/b%20c.html#%C3%A9t%C3%A9">3</a><a href="sub/b%20c.html">4</a>'
        '<a href="https://scikit-learn.org/stable">5</a>'
        '<img src="data:image/png;base64,AA=="></p>'
    )
    (tmp_path / "README.md").write_text("[a picture](a.png), [b](sub/b%20c.html)")
    return tmp_path


def test_links_that_lead_somewhere(pages):
    assert load("check_links").main([str(pages), str(pages / "README.md")]) == 0


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("index.html", '<a href="gone.html">', "gone.html: no such file"),
        ("index.html", '<img src="sub/a.png">', "sub/a.png: no such file"),
        ("sub/b c.html", '<a href="a.png">', "a.png: no such file"),
        ("index.html", '<a href="#gone">', "#gone: no such anchor"),
        ("index.html", '<a href="sub/b%20c.html#here">', "#here: no such anchor"),
        ("index.html", '<a href="https://scikit-lern.org">', "unknown host"),
        ("index.html", '<script src="//cdn.example/x.js">', "unknown host"),
        ("index.html", '<a href="javascript:void(0)">', "unknown scheme"),
        ("README.md", "[x](docs/gone.md)", "docs/gone.md: no such file"),
    ],
)
def test_dead_links_are_found(pages, file, text, message, capsys):
    path = pages / file
    path.write_text(path.read_text() + text)
    assert load("check_links").main([str(pages), str(pages / "README.md")]) == 1
    dead, summary = capsys.readouterr().out.splitlines()
    assert dead.startswith(f"{path}: ")
    assert dead.endswith(message)
    assert summary.endswith("1 dead")


@pytest.mark.parametrize("displayed", [False, True])
@pytest.mark.parametrize(
    "formula",
    [
        r"\operatorname*{arg\,min}_{w}\ \lVert x - w S\rVert^2",
        "a\\\nb",
        r"\bigl\{\, i : f_i < f_{\text{high}} \,\bigr\}",
    ],
)
def test_good_formulas(formula, displayed):
    assert load("_ext/formulas").error(formula, displayed=displayed) is None


def test_numbered_and_aligned_formulas_are_good():
    module = load("_ext/formulas")
    assert module.error(r"a = b \tag{1}", displayed=True) is None
    aligned = r"\begin{aligned} a &= b \\ c &= d \end{aligned}"
    assert module.error(aligned, displayed=True) is None


@pytest.mark.parametrize("displayed", [False, True])
@pytest.mark.parametrize(
    "formula", [r"\fracc{a}{b}", r"\frac{a}{b", r"\left( a", "a_b_c", r"\frac{a}"]
)
def test_wrong_formulas(formula, displayed):
    assert load("_ext/formulas").error(formula, displayed=displayed)


def test_punctuation_stays_beside_a_formula():
    module = load("_ext/formulas")
    from docutils import nodes

    line = nodes.paragraph(
        "", "", nodes.Text("Of (a"), nodes.math("", "x"), nodes.Text("), here")
    )
    page = nodes.section("", line, nodes.paragraph("", "", nodes.math("", "y")))
    text = page.astext()
    module.keep_together(None, page)
    assert page.astext() == text
    first, second = page.findall(nodes.inline)
    assert first.astext() == "(ax),"
    assert second.astext() == "y"
