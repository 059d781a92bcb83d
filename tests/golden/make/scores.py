"""Golden values of scores that have no published figure, and of rank correlations.

Written from the formulas in the slow, literal way (explicit n x n kernels, generalised eigenvectors, numpy.corrcoef) so as to
share nothing with the product. Rank correlations are SciPy's.

    python scores.py ../scoring > ../scoring/scores.json      (numpy, scipy; reads reference.json there)
"""

import csv
import json
import sys

import numpy as np
from scipy import linalg, stats

folder = sys.argv[1]
reference = json.load(open(f"{folder}/reference.json"))
F = np.array(reference["F"])
y = np.array(reference["y"])


def cka_debiased(X, Y):
    def hsic(K, L):
        n = len(K)
        K, L = K - np.diag(np.diag(K)), L - np.diag(np.diag(L))
        one = np.ones(n)
        return (np.trace(K @ L) + (one @ K @ one) * (one @ L @ one) / ((n - 1) * (n - 2)) - 2 / (n - 2) * one @ K @ L @ one) / (n * (n - 3))

    K, L = X @ X.T, Y @ Y.T
    return hsic(K, L) / np.sqrt(hsic(K, K) * hsic(L, L))


def softmax(a):
    e = np.exp(a - a.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def discriminant(X, y, lam=None):
    n, d = X.shape
    classes = np.unique(y)
    prior = np.array([(y == c).mean() for c in classes])
    means = np.array([X[y == c].mean(0) for c in classes])
    Sw = sum(p * np.cov(X[y == c].T, bias=True) for p, c in zip(prior, classes))
    St = np.cov(X.T, bias=True)
    if lam is None:
        lam = max(np.exp(-5 * np.linalg.eigvalsh(Sw)[-1]), 1e-10)
    Sw = (1 - lam) * Sw + lam * np.trace(Sw) / d * np.eye(d)
    St = (1 - lam) * St + lam * np.trace(St) / d * np.eye(d)
    values, W = linalg.eigh(St - Sw, Sw)
    W = W[:, np.argsort(values)[::-1]]
    coefficients = means @ W @ W.T
    scores = X @ coefficients.T - 0.5 * np.diag(means @ coefficients.T) + np.log(prior)
    return softmax(scores), means, lam


def lda(X, y):
    return discriminant(X, y)[0][np.arange(len(y)), y].mean()


def sfda(X, y):
    p, means, lam = discriminant(X, y)
    p = softmax(p)
    mixed = np.empty_like(X)
    for i, c in enumerate(y):
        others = np.delete(means, c, 0).mean(0)
        mixed[i] = p[i, c] * X[i] + (1 - p[i, c]) * others
    return discriminant(mixed, y, lam)[0][np.arange(len(y)), y].mean()


def parc(X, y, components=32):
    X = (X - X.mean(0)) / X.std(0)
    if X.shape[1] > components:
        U, s, V = np.linalg.svd(X, full_matrices=False)
        # Correlations of rows depend on the signs of components: the largest loading is positive.
        U = U * np.sign(V[np.arange(len(V)), np.abs(V).argmax(1)])
        X = U[:, :components] * s[:components]
    upper = np.triu_indices(len(X), 1)
    a = 1 - np.corrcoef(X)[upper]
    b = (1 - np.corrcoef(np.eye(y.max() + 1)[y])[upper]).round(9)
    return 100 * stats.spearmanr(a, b).statistic


def gbc_spherical(X, y):
    out = 0
    classes = np.unique(y)
    m = [X[y == c].mean(0) for c in classes]
    S = [max(X[y == c].var(0).mean(), 1e-4) * np.eye(X.shape[1]) for c in classes]
    for a in range(len(classes)):
        for b in range(len(classes)):
            if a != b:
                M = (S[a] + S[b]) / 2
                distance = (m[a] - m[b]) @ np.linalg.inv(M) @ (m[a] - m[b]) / 8
                distance += 0.5 * np.log(np.linalg.det(M) / np.sqrt(np.linalg.det(S[a]) * np.linalg.det(S[b])))
                out -= np.exp(-distance)
    return out


class Lcg:
    def __init__(self, seed):
        self.state = seed

    def uniform(self):
        self.state = (self.state * 1664525 + 1013904223) % 2**32
        return self.state / 2**32

    def bell(self):
        return self.uniform() + self.uniform() + self.uniform() + self.uniform() - 2


def wide_data():
    """The case of tests/unit/scoring/data.ts: 60 samples of 40 dimensions, 4 classes."""
    rng = Lcg(31)
    X, labels = np.zeros((60, 40)), np.zeros(60, dtype=int)
    for i in range(60):
        labels[i] = i if i < 4 else int(rng.uniform() * 4)
        for j in range(40):
            X[i, j] = 0.7 * rng.bell() + (1 if j == labels[i] else 0)
    return X, labels


def correlations(x, y):
    s, k = stats.spearmanr(x, y), stats.kendalltau(x, y)
    return dict(
        x=[float(v) for v in x],
        y=[float(v) for v in y],
        spearman=float(s.statistic),
        spearmanP=float(s.pvalue),
        kendall=float(k.statistic),
        kendallP=float(k.pvalue),
        weighted=float(stats.weightedtau(x, y).statistic),
    )


def table(name):
    return list(csv.DictReader(open(f"{folder}/{name}")))


def column(rows, name, sign=1):
    return [sign * float(r[name]) for r in rows]


conformer = table("conformer_layers_wer.csv")
hubert = table("hubert_layers_per.csv")
models = table("models_speech_commands.csv")
pairs = {}
for score in ("tsne", "logme", "swd"):
    pairs[f"table A, {score}, printed ranks"] = correlations(column(conformer, "rank_finetuned", -1), column(conformer, f"rank_{score}", -1))
    pairs[f"table A, {score}, ranks by WER"] = correlations(column(conformer, "wer", -1), column(conformer, f"rank_{score}", -1))
    pairs[f"table C, {score}"] = correlations(column(models, "accuracy"), column(models, f"rank_{score}", -1))
pairs["table B, logme"] = correlations(column(hubert, "per_poster", -1), column(hubert, "rank_logme", -1))
pairs["table D, norm"] = correlations(column(hubert, "per_log", -1), column(hubert, "logme_sum_norm_log"))
pairs["table D, raw"] = correlations(column(hubert, "per_log", -1), column(hubert, "logme_sum_raw_log"))
rng = Lcg(77)
pairs["ties on both sides"] = correlations([int(rng.uniform() * 6) for _ in range(40)], [int(rng.uniform() * 5) for _ in range(40)])
pairs["a few ties"] = correlations([1, 2, 2, 3, 5, 4, 7, 6], [2, 1, 3, 3, 4, 6, 5, 8])
pairs["50 without ties"] = correlations([rng.uniform() for _ in range(50)], [rng.uniform() for _ in range(50)])
pairs["50 in order but one exchange"] = correlations(list(range(50)), [1, 0] + list(range(2, 50)))
pairs["reversed"] = correlations(list(range(9)), list(range(9))[::-1])
pairs["two pairs apart"] = correlations([1, 2, 3], [3, 1, 2])

W = np.array(reference["W"])
X, labels = wide_data()
print(
    json.dumps(
        dict(
            small=dict(
                lda=lda(F, y), sfda=sfda(F, y), parc=parc(F, y), gbcSpherical=gbc_spherical(F, y), ckaDebiased=cka_debiased(F, F @ W)
            ),
            wide=dict(lda=lda(X, labels), sfda=sfda(X, labels), parc=parc(X, labels), ckaDebiased=cka_debiased(X, X[:, :5])),
            correlations=pairs,
        ),
        indent=1,
    )
)
