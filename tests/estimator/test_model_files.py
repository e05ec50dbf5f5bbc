import importlib
import inspect
import pickle
import pkgutil
import re
import sys
import zipfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.sparse import issparse
from sklearn.base import BaseEstimator
from sklearn.datasets import load_digits
from sklearn.mixture import BayesianGaussianMixture
from sklearn.mixture import GaussianMixture as TheirMixture
from sklearn.neighbors import KernelDensity
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

import skspectral
from skspectral import (
    BasisModulation,
    MLPModulation,
    SpectralDictionaryLearning,
    SpectralDictionaryLearningCV,
    SpectralImputer,
    SpectralOutlierDetector,
)
from skspectral.atoms import Chirp, Gabor, PlaneWave, Sinusoid
from skspectral.control import SpectralEqualizer, SpectralFilter
from skspectral.convolutional import ConvolutionalSpectralDictionary
from skspectral.model_files import TRUSTED_TYPES, load_model, save_model
from skspectral.priors import (
    ClassConditionalPrior,
    DiffusionPrior,
    GaussianMixture,
    GaussianPrior,
    LocalContrastPrior,
    ScaledPrior,
    SpikeAndSlabPrior,
    Synthesis,
)
from skspectral.refinement import (
    CrossSpectrumMatcher,
    RadialSpectrumMatcher,
    SpectrumMatcher,
    SpectrumQuantileMatcher,
    SpectrumTranslator,
)
from skspectral.restoration import PatchRestorer, SignalRestorer
from skspectral.uneven import UnevenSpectralDictionary

sio = pytest.importorskip("skops.io")

X, LABELS = (part[:120] for part in load_digits(return_X_y=True))
IMAGES = X.reshape(-1, 8, 8) / 16
CODES = np.random.default_rng(0).normal(size=(60, 6))
DIFFUSION = DiffusionPrior(max_images=64, width=4, n_steps=2, random_state=0)


def learning(n_components=4, **options):
    options = {"signal_shape": (8, 8), "tol": 0.9, "random_state": 0, **options}
    return SpectralDictionaryLearning(n_components, **options)


def on_digits(est):
    return est.fit(X, LABELS)


def on_codes(prior):
    return prior.fit(CODES, np.arange(60) % 2)


def on_signals_of_codes(prior):
    return prior.fit(CODES, synthesis=Synthesis(np.eye(6), np.zeros(6), (6,)))


def on_images(refiner):
    return refiner.fit(IMAGES[:60], IMAGES[60:])


plain = {"modulation": None}
MODELS = {
    **{
        f"atoms {atoms}": lambda atoms=atoms: on_digits(learning(atoms=atoms))
        for atoms in ("sinusoid", "plane_wave", "gabor", "chirp", Gabor(), Chirp())
    },
    "atoms object": lambda: on_digits(learning(atoms=Sinusoid())),
    "plane wave object": lambda: on_digits(learning(atoms=PlaneWave(), **plain)),
    "basis": lambda: on_digits(learning(modulation=BasisModulation(order=1))),
    "mlp": lambda: on_digits(learning(modulation=MLPModulation(width=3, depth=1))),
    "windows": lambda: on_digits(learning(windows=2, **plain)),
    "white": lambda: on_digits(learning(whiten=True, **plain)),
    "search": lambda: SpectralDictionaryLearningCV(
        learning(), {"n_components": [2, 3], "shrinkage": [None]}, cv=2
    ).fit(X),
    "shrinkage": lambda: on_digits(learning(shrinkage="auto", **plain)),
    "adam": lambda: on_digits(learning(solver="adam", **plain)),
    "stft": lambda: on_digits(learning(transform_stft_weight=0.1, stft_window=8)),
    "sparse": lambda: on_digits(
        learning(n_nonzero_coefs=2, prior=SpikeAndSlabPrior(), **plain)
    ),
    "init": lambda: on_digits(learning(init=on_digits(learning(2, **plain)), **plain)),
    "patches": lambda: PatchRestorer(
        learning(n_components=9, prior=GaussianMixture(2), **plain),
        patch_size=3,
        n_patches=400,
        random_state=0,
    ).fit(IMAGES),
    "recordings": lambda: SignalRestorer(
        window_length=8, n_windows=50, n_spectra=2, random_state=0
    ).fit(CODES.ravel()),
    "device": lambda: on_digits(learning(device=torch.device("cpu"), **plain)),
    "generator": lambda: on_digits(
        learning(random_state=np.random.RandomState(0), **plain)
    ),
    "unfitted": lambda: learning(prior=DIFFUSION),
    **{
        f"prior {type(prior).__name__} {i}": lambda prior=prior: on_digits(
            learning(8, prior=prior, **plain)
        )
        for i, prior in enumerate(
            [
                GaussianPrior("diag"),
                GaussianMixture(2),
                GaussianMixture(2, covariance="low_rank", rank=1),
                ClassConditionalPrior(GaussianPrior(shrinkage=0.1)),
                LocalContrastPrior(),
                DIFFUSION,
                TheirMixture(2, random_state=0),
                BayesianGaussianMixture(n_components=2, max_iter=500, tol=1),
                KernelDensity(),
                KernelDensity(algorithm="ball_tree"),
            ]
        )
    },
    "GaussianPrior": lambda: on_codes(GaussianPrior("low_rank")),
    "GaussianMixture": lambda: on_codes(GaussianMixture(2)),
    "ClassConditionalPrior": lambda: on_codes(ClassConditionalPrior()),
    "LocalContrastPrior": lambda: on_signals_of_codes(LocalContrastPrior()),
    "DiffusionPrior": lambda: on_codes(
        DiffusionPrior(max_images=64, width=4, n_steps=2, device="cpu")
    ),
    "DiffusionPrior on signals": lambda: on_signals_of_codes(
        DiffusionPrior(max_images=64, width=4, n_steps=2, device=torch.device("cpu"))
    ),
    "SpikeAndSlabPrior": lambda: on_codes(SpikeAndSlabPrior()),
    "ScaledPrior": lambda: on_codes(ScaledPrior(GaussianPrior())),
    "SpectralOutlierDetector": lambda: SpectralOutlierDetector(
        learning(prior=GaussianMixture(2), **plain)
    ).fit(X),
    "SpectralImputer": lambda: SpectralImputer(
        learning(**plain), add_indicator=True
    ).fit(np.where(np.arange(64) == 3 + 0 * X, np.nan, X)),
    "ConvolutionalSpectralDictionary": lambda: ConvolutionalSpectralDictionary(
        n_times_atom=8, reg=0.5
    ).fit(X[:20]),
    "UnevenSpectralDictionary": lambda: UnevenSpectralDictionary(2).fit(X),
    "SpectralEqualizer": lambda: SpectralEqualizer(learning(), gains=0.5).fit(X),
    "SpectralFilter": lambda: SpectralFilter(learning(), high=1.5).fit(X),
    "RadialSpectrumMatcher": lambda: on_images(RadialSpectrumMatcher()),
    "SpectrumMatcher": lambda: on_images(SpectrumMatcher()),
    "SpectrumQuantileMatcher": lambda: on_images(SpectrumQuantileMatcher()),
    "CrossSpectrumMatcher": lambda: on_images(CrossSpectrumMatcher()),
    "SpectrumTranslator": lambda: on_images(
        SpectrumTranslator(
            max_epochs=1,
            max_steps_per_epoch=2,
            early_stopping=False,
            depth=1,
            base_channels=2,
            random_state=0,
        )
    ),
    "pipeline": lambda: make_pipeline(StandardScaler(), learning(**plain)).fit(X),
}


@cache
def fitted(name):
    return MODELS[name]()


def results(model):
    """Yield the name of each method of the model and the array that it returns."""
    calls = {
        "transform": lambda rows: model.transform(rows),
        "score_samples": lambda rows: model.score_samples(rows[:5]),
        "sample": lambda rows: model.sample(4, random_state=0),
        "denoise": lambda rows: model.denoise(rows[:5]),
    }
    n_features = getattr(model, "n_features_in_", None)
    rows = {64: X, 6: CODES}.get(n_features, IMAGES)
    if isinstance(model, PatchRestorer):
        rows = IMAGES[:, 0]
    if isinstance(model, SignalRestorer):
        rows = CODES.ravel()
    if hasattr(model, "image_shape_"):
        rows = IMAGES
    for name, call in calls.items():
        try:
            found = call(rows)
        except (AttributeError, TypeError):
            continue
        # scikit-learn's mixtures draw labels, too.
        found = found[0] if isinstance(found, tuple) else found
        yield name, found.toarray() if issparse(found) else found


def without_places(model):
    """The repr without memory addresses."""
    return re.sub(r" at 0x\w+", "", repr(model))


def types_in(model):
    return set(sio.get_untrusted_types(data=sio.dumps(model)))


def public_estimators():
    """Classes in the __all__ of any public module that are estimators."""
    found = set()
    walk = pkgutil.walk_packages(skspectral.__path__, "skspectral.")
    names = [each.name for each in walk if "._" not in each.name]
    for loaded in [skspectral, *map(importlib.import_module, names)]:
        for name in getattr(loaded, "__all__", ()):
            value = getattr(loaded, name)
            if isinstance(value, type) and issubclass(value, BaseEstimator):
                found.add(value)
    return {c for c in found if not inspect.isabstract(c)}


def test_public_estimators_are_found():
    assert {SpectralDictionaryLearning, DiffusionPrior, SpectrumTranslator} <= (
        public_estimators()
    )


@pytest.mark.parametrize("kind", sorted(public_estimators(), key=str))
def test_every_public_estimator_is_trusted_and_tested(kind):
    assert f"{kind.__module__}.{kind.__qualname__}" in TRUSTED_TYPES
    if hasattr(kind, "fit"):
        assert any(isinstance(fitted(name), kind) for name in MODELS), (
            f"Add a fitted {kind.__name__} to MODELS."
        )


@pytest.mark.parametrize("name", MODELS)
def test_a_file_gives_the_model_back(name, tmp_path):
    model = fitted(name)
    assert types_in(model) <= set(TRUSTED_TYPES)
    save_model(model, tmp_path / "model.skops")
    again = load_model(tmp_path / "model.skops")
    assert [path.name for path in tmp_path.iterdir()] == ["model.skops"]
    assert type(again) is type(model)
    assert without_places(again) == without_places(model)
    found, expected = list(results(again)), list(results(model))
    assert [name for name, _ in found] == [name for name, _ in expected]
    assert expected or name == "unfitted"
    for (called, ours), (_, theirs) in zip(found, expected, strict=True):
        if called == "denoise":
            # Rounding of sums depends on the memory layout of the arrays.
            np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9)
        else:
            np.testing.assert_array_equal(ours, theirs)


def test_trusted_types_exist():
    for name in TRUSTED_TYPES:
        module, _, attribute = name.rpartition(".")
        if attribute in ("PosixPath", "WindowsPath"):
            assert hasattr(importlib.import_module("pathlib"), attribute)
        else:
            assert isinstance(getattr(importlib.import_module(module), attribute), type)


def test_a_training_goes_on_after_a_file(tmp_path):
    prior = DiffusionPrior(max_images=128, width=4, random_state=0)
    prior.partial_fit(CODES)
    prior.set_params(checkpoint=tmp_path / "none.pt")
    save_model(prior, tmp_path / "prior.skops")
    again = load_model(tmp_path / "prior.skops")
    assert again.checkpoint == prior.checkpoint
    for each in (prior, again):
        each.set_params(checkpoint=None).partial_fit(CODES)
    np.testing.assert_array_equal(
        again.sample(3, random_state=0), prior.sample(3, random_state=0)
    )


class Ran:
    """An object whose unpickling runs code."""

    def __reduce__(self):
        return (sys.exit, ("code was run",))


class Custom(BaseEstimator):
    def fit(self, X, y=None):
        return self


def replace_in(path, name, change):
    """Rewrite a member of a zip file, with a valid checksum."""
    with zipfile.ZipFile(path) as old:
        members = {member: old.read(member) for member in old.namelist()}
    members[name] = change(members[name])
    with zipfile.ZipFile(path, "w") as new:
        for member, content in members.items():
            new.writestr(member, content)


def renamed(old, new):
    return lambda content: content.replace(old, new)


@pytest.fixture
def path(tmp_path):
    save_model(GaussianPrior().fit(CODES), tmp_path / "model.skops")
    return tmp_path / "model.skops"


def test_damaged_files(path):
    whole = path.read_bytes()
    place = whole.index(b"NUMPY") + 130  # Behind the header of 128 bytes.
    flipped = bytes([whole[place] ^ 1])
    for content in (
        whole[: len(whole) // 2],
        whole[:-1],
        b"",
        b"something else",
        whole[:place] + flipped + whole[place + 1 :],
        pickle.dumps(Ran()),
    ):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"is not a model .* or is damaged"):
            load_model(path)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"__loader__": "ObjectNode"', b'"__loader__": "NoNode"'),
        (b'"__class__"', b'"__klass__"'),
        (b'"GaussianPrior"', b'"NoSuchPrior"'),
        (b".npy", b".npz"),
        (b"{", b"["),
    ],
)
def test_changed_schemas(path, old, new):
    replace_in(path, "schema.json", renamed(old, new))
    with pytest.raises(ValueError, match=r"damaged|not trusted"):
        load_model(path)


def test_an_array_of_objects_is_not_unpickled(path, tmp_path):
    with zipfile.ZipFile(path) as parts:
        name = next(part for part in parts.namelist() if part.endswith(".npy"))
    evil = tmp_path / "evil.npy"
    np.save(evil, np.array([Ran()], dtype=object), allow_pickle=True)
    replace_in(path, name, lambda _: evil.read_bytes())
    with pytest.raises(ValueError, match="damaged"):
        load_model(path)


def test_classes_that_are_not_trusted_are_named(path):
    module = GaussianPrior.__module__.encode()
    for old, new in ((module, b"os"), (b'"GaussianPrior"', b'"system"')):
        replace_in(path, "schema.json", renamed(old, new))
    with pytest.raises(ValueError, match=r"classes that are not trusted: os\.system"):
        load_model(path)


def test_a_class_of_yours_is_trusted_by_name(tmp_path, monkeypatch):
    module = type(sys)("of_a_user")
    module.Custom = Custom
    monkeypatch.setitem(sys.modules, "of_a_user", module)
    monkeypatch.setattr(Custom, "__module__", "of_a_user")
    path = tmp_path / "own.skops"
    save_model(learning(prior=Custom()), path)
    with pytest.raises(ValueError, match=r"trusted=\('of_a_user.Custom',\)"):
        load_model(path)
    loaded = load_model(path, trusted=("of_a_user.Custom",))
    assert isinstance(loaded.prior, Custom)


def test_a_file_of_something_else(tmp_path):
    path = tmp_path / "other.skops"
    sio.dump({"a": np.ones(3)}, path)
    with pytest.raises(ValueError, match="contains a dict"):
        load_model(path)


@pytest.mark.parametrize("code", [nn.Linear(2, 2), lambda X: X], ids=["net", "lambda"])
def test_code_is_not_saved(code, tmp_path):
    est = learning(prior=DiffusionPrior(code))
    path = tmp_path / "model.skops"
    path.write_bytes(b"kept")
    with pytest.raises(TypeError, match="cannot be saved without code"):
        save_model(est, path)
    assert path.read_bytes() == b"kept"
    assert list(tmp_path.iterdir()) == [path]


def test_without_skops(monkeypatch):
    monkeypatch.setitem(sys.modules, "skops.io", None)
    for call in (lambda: save_model(learning(), "a"), lambda: load_model(Path("a"))):
        with pytest.raises(ImportError, match=r"pip install 'skspectral\[files\]'"):
            call()


@pytest.mark.parametrize(
    "model", [None, CODES, GaussianPrior, {"model": GaussianPrior()}], ids=type
)
def test_what_is_no_model_is_not_saved(model, tmp_path):
    with pytest.raises(TypeError, match=r"estimator of type \w+ must be"):
        save_model(model, tmp_path / "model.skops")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("bad", [5, None, b"model.skops", ["model.skops"]], ids=repr)
def test_what_is_no_path_is_named(bad):
    for call in (lambda: save_model(GaussianPrior(), bad), lambda: load_model(bad)):
        with pytest.raises(TypeError, match="The 'path' parameter"):
            call()


@pytest.mark.parametrize("bad", ["of_a_user.Custom", True, None], ids=repr)
def test_what_is_no_list_of_names(path, bad):
    with pytest.raises(TypeError, match="The 'trusted' parameter"):
        load_model(path, trusted=bad)


def test_a_folder_is_no_file(tmp_path):
    folder = tmp_path / "models"
    folder.mkdir()
    with pytest.raises(IsADirectoryError, match=r"path=.*models' is a folder"):
        save_model(GaussianPrior(), folder)
    assert list(tmp_path.iterdir()) == [folder]


def test_links_and_files_beside_stay(tmp_path):
    (tmp_path / "model.skops.part").write_bytes(b"of the user")
    (tmp_path / "latest").symlink_to("model.skops")
    save_model(GaussianPrior(), tmp_path / "latest")
    assert (tmp_path / "latest").is_symlink()
    assert isinstance(load_model(tmp_path / "model.skops"), GaussianPrior)
    assert (tmp_path / "model.skops.part").read_bytes() == b"of the user"
    assert len(list(tmp_path.iterdir())) == 3
