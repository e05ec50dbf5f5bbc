"""
Recognise digits by the waves in them
=====================================

Writes images of handwritten digits as sums of learned waves, and recognises each digit
by the weights of the waves, its codes. The estimator is the first step of a
``Pipeline``, and ``GridSearchCV`` chooses the number and the kind of the atoms together
with the classifier.
"""

# SPDX-License-Identifier: BSD-3-Clause
# %%
import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.metrics import ConfusionMatrixDisplay
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from skspectral import SpectralDictionaryLearning
from skspectral.plotting import AtomDisplay

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.4, random_state=0)

# %%
# The pipeline
# ------------
# The codes are brought to unit variance, and classified by a support vector machine.
model = Pipeline(
    [
        ("atoms", SpectralDictionaryLearning(signal_shape=(8, 8), modulation=None)),
        ("scale", StandardScaler()),
        ("svc", SVC()),
    ]
)
grid = {
    "atoms__n_components": [5, 10, 20, 30],
    "atoms__atoms": ["sinusoid", "plane_wave"],
    "svc__C": [1.0, 10.0],
}
search = GridSearchCV(model, grid, cv=3).fit(X_train, y_train)

# %%
# Accuracy in cross-validation
# ----------------------------
# For each number and kind of atoms, the accuracy with the better of the two values of C
# is printed. The number of atoms matters more than their kind.
tried = search.cv_results_
kinds = grid["atoms__atoms"]
print(f"{'atoms':>5s} " + " ".join(f"{kind:>10s}" for kind in kinds))
for n in grid["atoms__n_components"]:
    best = [
        max(
            score
            for score, params in zip(
                tried["mean_test_score"], tried["params"], strict=True
            )
            if params["atoms__atoms"] == kind and params["atoms__n_components"] == n
        )
        for kind in kinds
    ]
    print(f"{n:5d} " + " ".join(f"{score:10.3f}" for score in best))
print(f"best: {search.best_params_}")

# %%
# Accuracy on digits that the search has not seen
# -----------------------------------------------
# Left: true and predicted labels. Right: the first nine atoms of the chosen model.
print(f"accuracy: {search.score(X_test, y_test):.3f}")
figure, axes = plt.subplots(1, 2, figsize=(11, 5), layout="constrained")
ConfusionMatrixDisplay.from_estimator(
    search, X_test, y_test, ax=axes[0], colorbar=False
)
AtomDisplay.from_estimator(search.best_estimator_["atoms"], atoms=9, ax=axes[1])
plt.show()
