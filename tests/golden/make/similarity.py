"""Golden values of PWCCA, mutual information of units, t-SNE's neighbour probabilities and the log-mel filterbank.

Written in the slow, literal way (QR and SVD of the data, contingency tables, scipy.signal) so as to share nothing with the product.

    python similarity.py > ../scoring/similarity.json      (numpy, scipy)
"""

import json

import numpy as np
from scipy import signal, special

state = 7


def uniform():
    global state
    state = (state * 1664525 + 1013904223) % 2**32
    return state / 2**32


def bell():
    return uniform() + uniform() + uniform() + uniform() - 2


n = 60
X = np.array([[bell() for _ in range(5)] for _ in range(n)])
N = np.array([[bell() for _ in range(7)] for _ in range(n)])
M = np.array([[bell() for _ in range(7)] for _ in range(5)])
Y = X @ M + 0.8 * N
labels = [int(uniform() * 3) for _ in range(n)]
units = [(l + (1 if uniform() < 0.3 else 0)) % 4 for l in labels]


def pwcca(X, Y):
    """Morcos et al. 2018: weights are the projections of the activations of X on its canonical variates."""
    X, Y = X - X.mean(0), Y - Y.mean(0)
    Qx, _ = np.linalg.qr(X)
    Qy, _ = np.linalg.qr(Y)
    U, rho, _ = np.linalg.svd(Qx.T @ Qy, full_matrices=False)
    H = Qx @ U
    alpha = np.abs(H.T @ X).sum(1)
    return float((alpha * rho).sum() / alpha.sum())


def information(u, y):
    table = np.zeros((max(u) + 1, max(y) + 1))
    for a, b in zip(u, y):
        table[a, b] += 1
    p = table / table.sum()
    return float((special.entr(p.sum(0)).sum() + special.entr(p.sum(1)).sum() - special.entr(p).sum()) / special.entr(p.sum(0)).sum())


def neighbours(X, perplexity):
    """Bisection on each point's precision, to 1e-12."""
    n = len(X)
    D = ((X[:, None] - X[None]) ** 2).sum(2)
    P = np.zeros((n, n))
    for i in range(n):
        low, high = 1e-12, 1e12
        for _ in range(300):
            beta = np.sqrt(low * high)
            e = np.exp(-beta * (D[i] - np.delete(D[i], i).min()))
            e[i] = 0
            p = e / e.sum()
            if special.entr(p).sum() > np.log(perplexity):
                low = beta
            else:
                high = beta
        P[i] = p
    return (P + P.T) / (2 * n)


rate, bands = 16000, 8
t = np.arange(1600) / rate
wave = (0.4 * np.sin(2 * np.pi * 440 * t) + 0.2 * np.sin(2 * np.pi * 2500 * t)).astype(np.float32).astype(float)
mel = lambda f: 2595 * np.log10(1 + f / 700)
edges = np.linspace(mel(20), mel(rate / 2), bands + 2)
at = mel(np.arange(257) * rate / 512)
weights = np.maximum(0, np.minimum((at - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None], (edges[2:, None] - at) / (edges[2:] - edges[1:-1])[:, None]))
hann = signal.get_window("hann", 400)
frames = np.array([np.log(np.maximum(weights @ np.abs(np.fft.rfft(wave[i : i + 400] * hann, 512)) ** 2, 1e-10)) for i in range(0, 1600 - 400 + 1, 160)])

print(
    json.dumps(
        {
            "X": X.tolist(),
            "Y": Y.tolist(),
            "pwcca": pwcca(X, Y),
            "labels": labels,
            "units": units,
            "information": information(units, labels),
            "neighbours": neighbours(X[:20], 5)[:3].tolist(),
            "neighbourPerplexity": 5,
            "filterbank": frames.tolist(),
        }
    )
)
