"""Makes tests/golden/probing/demo.json: held-out accuracy of logistic regression on utterance means of the demo's layers.

Run from the root: features by `npx foretune extract` (folder with one folder per model given as the argument), then, independently of
Foretune's heads, SciPy's L-BFGS-B in float64 to convergence under each penalty, features standardised by the training part. Training,
development and held-out parts: the manifest's `split`, where every fifth row of `train` is development. The penalty follows the rule of
Foretune's probes: from strong to weak, ended after two that lower the development loss by less than 0.001; the lowest counts.
"""

import csv
import json
import os
import sys

import numpy as np
from scipy.optimize import minimize
from scipy.special import logsumexp

PENALTIES = [1, 0.3, 0.1, 0.03, 0.01, 3e-3, 1e-3, 3e-4, 1e-4, 3e-5, 1e-5]

rows = list(csv.DictReader(open("resources/demo/manifest.csv")))
part = np.array([row["split"] for row in rows])
for count, i in enumerate(np.flatnonzero(part == "train")):
    if count % 5 == 4:
        part[i] = "dev"


def nll(logits, y):
    return np.mean(logsumexp(logits, axis=1) - logits[np.arange(len(y)), y])


def probe(x, y, k):
    train, dev, test = (part == name for name in ("train", "dev", "test"))
    x = (x - x[train].mean(0)) / x[train].std(0)
    d = x.shape[1]

    def objective(p, penalty):
        w, b = p[: k * d].reshape(k, d), p[k * d :]
        z = x[train] @ w.T + b
        g = np.exp(z - logsumexp(z, axis=1)[:, None])
        g[np.arange(train.sum()), y[train]] -= 1
        g /= train.sum()
        return nll(z, y[train]) + penalty / 2 * (w**2).sum(), np.concatenate([(g.T @ x[train] + penalty * w).ravel(), g.sum(0)])

    p = np.zeros(k * d + k)
    best, since = None, 0
    for penalty in PENALTIES:
        p = minimize(objective, p, (penalty,), jac=True, method="L-BFGS-B", options=dict(maxiter=5000, gtol=1e-9, ftol=1e-15)).x
        logits = x @ p[: k * d].reshape(k, d).T + p[k * d :]
        loss = nll(logits[dev], y[dev])
        since = 0 if best is None or loss < best[0] - 1e-3 else since + 1
        if best is None or loss < best[0]:
            best = (loss, penalty, float(np.mean(logits[test].argmax(1) == y[test])))
        if since == 2:
            break
    return dict(dev_loss=round(best[0], 6), penalty=best[1], accuracy=best[2])


result = []
for model in ("tiny-hubert-early", "tiny-hubert"):
    for layer in range(7):
        name = lambda row: os.path.splitext(os.path.basename(row["path"]))[0]
        means = np.stack([np.load(f"{sys.argv[1]}/{model}/{name(row)}/layer_{layer:02d}.npy").astype(float).mean(0) for row in rows])
        for label in ("word", "speaker"):
            classes = sorted({row[label] for row in rows})
            y = np.array([classes.index(row[label]) for row in rows])
            result.append(dict(model=model, layer=layer, label=label, **probe(means, y, len(classes))))
json.dump(result, open("tests/golden/probing/demo.json", "w"), indent=1)
