# SPDX-License-Identifier: BSD-3-Clause
"""
The space of codes
==================

Codes in two dimensions, by any transformer with ``fit_transform``: principal components
here, which keep distances, and t-SNE, which keeps neighbours. Digits that look alike
have codes that are close, though no label was seen.
"""

# %%
import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.manifold import TSNE
from sklearn.neighbors import KNeighborsClassifier

from skspectral import SpectralDictionaryLearning
from skspectral.plotting import LatentDisplay

X, y = load_digits(return_X_y=True)
X, y = X[:800], y[:800]
est = SpectralDictionaryLearning(20, signal_shape=(8, 8)).fit(X)

figure, axes = plt.subplots(1, 2, figsize=(11, 4.6), layout="constrained")
LatentDisplay.from_estimator(est, X, y, ax=axes[0])
near = TSNE(init="pca", random_state=0)
display = LatentDisplay.from_estimator(est, X, y, projection=near, ax=axes[1])

# %%
# How well neighbours agree
# -------------------------
# The share of digits with the label of most of their neighbours, in all twenty codes
# and in the two dimensions of t-SNE.
for name, points in (("20 codes", est.transform(X)), ("t-SNE", display.points)):
    neighbours = KNeighborsClassifier(6).fit(points, y)
    print(f"{name:9s} {neighbours.score(points, y):.3f}")
plt.show()
