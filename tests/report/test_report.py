"""The report is valid HTML, holds its pictures, and escapes what users give."""

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image
from scipy.io import wavfile
from sklearn.exceptions import NotFittedError
from sklearn.neighbors import KernelDensity

from skspectral import SpectralDictionaryLearning
from skspectral.priors import ClassConditionalPrior
from skspectral.report import write_report

# Elements that have no end.
VOID = {"meta", "img", "br"}


class Page(HTMLParser):
    """Elements of a page, which must be nested well."""

    def __init__(self, text):
        super().__init__()
        self.open, self.elements, self.texts = [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append((self.open[-1] if self.open else "", data.strip()))

    def all(self, name):
        return [attrs for tag, attrs in self.elements if tag == name]

    def text_of(self, name):
        return [text for tag, text in self.texts if tag == name and text]


def content(address, kind):
    start, data = address.split(",", 1)
    assert start == f"data:{kind};base64"
    return io.BytesIO(base64.b64decode(data, validate=True))


def walks(n, *shape):
    return np.random.default_rng(0).normal(size=(n, *shape)).cumsum(1).reshape(n, -1)


def fitted(X, **params):
    params = {"n_components": 5, "modulation": None, "random_state": 0} | params
    return SpectralDictionaryLearning(**params).fit(X)


MODELS = {
    "signals": lambda: (fitted(X := walks(40, 32), sampling_rate=100.0), X),
    "no unit": lambda: (fitted(X := walks(40, 32)), X),
    "sound": lambda: (fitted(X := walks(40, 64), sampling_rate=8000.0), X),
    "windows": lambda: (fitted(X := walks(40, 32), windows=4), X),
    "grey": lambda: (fitted(X := walks(40, 6, 5), signal_shape=(6, 5)), X),
    "colour": lambda: (fitted(X := walks(40, 6, 5, 3), signal_shape=(6, 5, 3)), X),
    "flattened": lambda: (
        fitted(X := walks(40, 6, 5), signal_shape=(6, 5), atoms="sinusoid"),
        X,
    ),
    "foreign prior": lambda: (fitted(X := walks(40, 32), prior=KernelDensity()), X),
    "drift": lambda: (fitted(X := walks(40, 32), modulation="auto"), X),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_page_of_every_kind_of_model(tmp_path, name):
    est, X = MODELS[name]()
    path = write_report(est, X, tmp_path / "page.html", n_atoms=3)
    assert path == (tmp_path / "page.html").resolve()
    text = path.read_text(encoding="utf-8")
    page = Page(text)
    pictures = page.all("img")
    # Data, reconstructions, new ones; the spectrum; and the atoms.
    assert len(pictures) == (3 if est.model_.grid.is_image else 2) + 1 + 3
    for picture in pictures:
        assert picture["alt"]
        with Image.open(content(picture["src"], "image/png")) as image:
            assert np.asarray(image.convert("RGB")).std() > 1
    sounds = [content(sound["src"], "audio/wav") for sound in page.all("audio")]
    assert len(sounds) == (3 if name == "sound" else 0)
    for sound in sounds:
        rate, samples = wavfile.read(sound)
        assert rate == 8000
        assert 0.85 < np.abs(samples / 2**15).max() < 0.95
    # Nothing is fetched, and nothing is run.
    assert "http" not in re.sub(r"base64,[\w+/=]+", "", text)
    assert not page.all("script")
    assert not page.all("link")
    assert type(est.prior_).__name__ in page.text_of("td")


def test_labels_are_no_hindrance(tmp_path):
    X, y = walks(40, 32), np.arange(40) % 2
    est = SpectralDictionaryLearning(4, prior=ClassConditionalPrior(), random_state=0)
    assert write_report(est.fit(X, y), X, tmp_path / "page.html").exists()


def test_what_users_give_is_escaped(tmp_path):
    est, X = MODELS["signals"]()
    bad = "<script>alert('1')</script> & \"$title\""
    path = write_report(
        est, X, tmp_path / "a.html", title=bad, facts={bad: bad}, commands=[bad]
    )
    page = Page(path.read_text(encoding="utf-8"))
    assert not page.all("script")
    for name in ("title", "h1", "th", "td", "code"):
        assert bad in page.text_of(name)


@pytest.mark.slow
def test_same_seed_same_page(tmp_path):
    est, X = MODELS["grey"]()
    first, second, other = (
        write_report(est, X, tmp_path / f"{i}.html", random_state=seed).read_bytes()
        for i, seed in enumerate((0, 0, 1))
    )
    assert first == second != other


@pytest.mark.slow
def test_missing_things_are_named(tmp_path):
    est, X = MODELS["signals"]()
    path = tmp_path / "page.html"
    gaps = X.copy()
    gaps[[4, 6], 2] = np.nan
    with pytest.raises(ValueError, match="in 2 of 40 rows, first in row 4"):
        write_report(est, gaps, path)
    with pytest.raises(ValueError, match=r"shape \(40, 31\).* 32 features"):
        write_report(est, X[:, 1:], path)
    with pytest.raises(ValueError, match="two rows or more"):
        write_report(est, X[:1], path)
    with pytest.raises(ValueError, match="n_atoms=0"):
        write_report(est, X, path, n_atoms=0)
    with pytest.raises(NotFittedError):
        write_report(SpectralDictionaryLearning(3), X, path)
    with pytest.raises(FileNotFoundError):
        write_report(est, X, tmp_path / "nowhere" / "page.html")
    shape = {"signal_shape": (4, 4, 2)}
    with pytest.raises(ValueError, match="2 channels"):
        write_report(fitted(X, **shape), X, path)
    assert not path.exists()
