"""Golden values of LogME: the exact evidence of Bayesian linear regression, maximised numerically.

Independent of the product's method: the marginal likelihood y ~ N(0, I/b + FF'/a) is evaluated densely (Cholesky) where n is
small, else in the basis of the singular vectors of F, and maximised over (ln a, ln b) from many starts with Nelder-Mead.
Data come from a linear congruential generator, which gives the same bits in any language.

    python logme.py > ../scoring/logme.json      (numpy, scipy)
"""

import json

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize

NOISE_FLOOR = 1e-8


class Lcg:
    def __init__(self, seed):
        self.state = seed

    def uniform(self):
        self.state = (self.state * 1664525 + 1013904223) % 2**32
        return self.state / 2**32

    def bell(self):
        return self.uniform() + self.uniform() + self.uniform() + self.uniform() - 2


def make(case):
    """Features and class ids: class c raises feature c mod d. Then columns are repeated, scaled, shifted."""
    rng = Lcg(case["seed"])
    n, d, k = case["n"], case["d"], case["k"]
    F = np.zeros((n, d))
    y = np.zeros(n, dtype=int)
    for i in range(n):
        y[i] = i if i < k else int(rng.uniform() * k)
        if case.get("rare") and y[i] == k - 1 and i >= k:
            y[i] = 0
        for j in range(d):
            F[i, j] = case["noise"] * rng.bell() + (case["signal"] if j == y[i] % d else 0)
    repeat = case.get("repeat", 0)
    if repeat:
        F = np.concatenate([F, F[:, :repeat]], axis=1)
    F = F * case.get("scale", 1) + case.get("shift", 0)
    kind = case.get("kind", "classes")
    if kind == "classes":
        Y = np.eye(k)[y].T
    else:
        w = np.array([[rng.bell() for _ in range(d)] for _ in range(2)])
        e = np.array([[rng.bell() for _ in range(n)] for _ in range(2)])
        Y = w @ F[:, :d].T + case["residual"] * e
    return F, Y


def evidence_dense(F, y, la, lb):
    n = len(y)
    S = np.eye(n) * np.exp(-lb) + F @ F.T * np.exp(-la)
    c = cho_factor(S, lower=True)
    return -0.5 * (n * np.log(2 * np.pi) + 2 * np.log(np.diag(c[0])).sum() + y @ cho_solve(c, y)) / n


def evidence_spectral(s2, z2, r0, n, la, lb):
    v = np.exp(-lb) + s2 * np.exp(-la)
    return -0.5 * (n * np.log(2 * np.pi) + np.log(v).sum() + (n - len(s2)) * -lb + (z2 / v).sum() + r0 * np.exp(lb)) / n


def maximise(F, y, freedom):
    n, d = F.shape
    U, s, _ = np.linalg.svd(F, full_matrices=False)
    keep = s > max(n, d) * np.finfo(float).eps * s[0]
    U, s2 = U[:, keep], s[keep] ** 2
    z = U.T @ y
    rest = y - U @ z
    r0 = 0.0 if len(s2) >= freedom else rest @ rest
    cap = np.log(freedom / (NOISE_FLOOR * (y @ y))) if len(s2) < freedom else np.inf

    def objective(p):
        la, lb = p
        if lb > cap or abs(la) > 200 or abs(lb) > 200:
            return np.inf
        return -evidence_spectral(s2, z**2, r0, freedom, la, lb)

    # The limit of no weights at all.
    best = 0.5 * np.log(freedom / (y @ y)) - 0.5 * np.log(2 * np.pi) - 0.5
    argument = None
    mean = s2.mean()
    starts = [(t, b) for t in np.linspace(np.log(mean) - 25, np.log(mean) + 6, 9) for b in (0.0, 4.0, 12.0)]
    for lt, rise in starts:
        lb = min(np.log(freedom / (y @ y)) + rise, cap)
        r = minimize(objective, (lt + lb, lb), method="Nelder-Mead", options=dict(xatol=1e-10, fatol=1e-14, maxiter=4000, maxfev=4000))
        if -r.fun > best:
            best, argument = -r.fun, r.x
    if argument is not None and n <= 200 and freedom == n:
        dense = evidence_dense(F, y, *argument)
        assert abs(dense - best) < 1e-7, (dense, best)
    return best


def main():
    base = dict(noise=0.7, signal=1.0)
    cases = [
        dict(name="more samples than dimensions", seed=1, n=60, d=8, k=3, **base),
        dict(name="fewer samples than dimensions", seed=2, n=15, d=40, k=3, **base),
        dict(name="fewer samples than dimensions, separable", seed=3, n=12, d=40, k=3, noise=0.05, signal=1.0),
        dict(name="as many samples as dimensions", seed=4, n=30, d=30, k=4, **base),
        dict(name="three columns repeated", seed=5, n=50, d=4, k=3, repeat=3, **base),
        dict(name="shifted by 5", seed=1, n=60, d=8, k=3, shift=5, **base),
        dict(name="shifted by 100", seed=1, n=60, d=8, k=3, shift=100, **base),
        dict(name="times 1000", seed=1, n=60, d=8, k=3, scale=1000, **base),
        dict(name="1000 classes", seed=6, n=2200, d=12, k=1000, **base),
        dict(name="regression, two targets", seed=7, n=80, d=10, k=1, kind="regression", residual=0.5, **base),
        dict(name="perfect fit", seed=8, n=40, d=5, k=1, kind="regression", residual=0.0, **base),
        dict(name="a class with one sample", seed=9, n=40, d=6, k=4, rare=True, **base),
        dict(name="no relation", seed=10, n=100, d=6, k=2, noise=0.7, signal=0.0),
        dict(name="centred", seed=1, n=60, d=8, k=3, shift=5, centre=True, **base),
        dict(name="centred, fewer samples than dimensions", seed=2, n=15, d=40, k=3, shift=5, centre=True, **base),
    ]
    for case in cases:
        F, Y = make(case)
        n = len(F)
        freedom = n
        if case.get("centre"):
            freedom = n - 1
            F, Y = F - F.mean(0), Y - Y.mean(1, keepdims=True)
        per_target = [maximise(F, y, freedom) for y in Y if np.ptp(y) > 0]
        case["value"] = float(np.mean(per_target))
        if len(per_target) <= 10:
            case["perTarget"] = [float(v) for v in per_target]
    print(json.dumps(cases, indent=1))


main()
