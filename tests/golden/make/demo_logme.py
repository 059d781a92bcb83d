"""Makes tests/golden/scoring/demo_logme.json: LogME of the demo's tiny-hubert, layers 0 and 4, all 240 clips.

Run from the root: features by `npx foretune extract` (folder given as the argument), then, independently of Foretune's sums and
factorisation, a full SVD of the stacked float64 features and the exact evidence maximised by Nelder-Mead (NumPy, SciPy).
"""

import csv
import json
import os
import sys

import numpy as np
from scipy.optimize import minimize


def logme(features, labels):
    n, d = features.shape
    u, s, _ = np.linalg.svd(features, full_matrices=False)
    rank = (s > max(n, d) * np.finfo(float).eps * s[0]).sum()
    u, sigma = u[:, :rank], s[:rank] ** 2
    values = []
    for label in np.unique(labels):
        y = (labels == label).astype(float)
        x = u.T @ y
        rest = max(0.0, y @ y - x @ x)

        def negative(p):
            t = np.exp(p[0])  # alpha / beta; the best beta for it is n / q
            q = rest + np.sum(x**2 * t / (sigma + t))
            return -(n / 2 * np.log(n / q / (2 * np.pi)) - n / 2 - 0.5 * np.sum(np.log1p(sigma / t))) / n

        starts = np.log(sigma.max()) + np.linspace(-25, 5, 13)
        values.append(-min(minimize(negative, [p], method="Nelder-Mead", options=dict(xatol=1e-10, fatol=1e-14)).fun for p in starts))
    return float(np.mean(values))


rows = list(csv.DictReader(open("resources/demo/manifest.csv")))
result = []
for layer in (0, 4):
    name = lambda row: os.path.splitext(os.path.basename(row["path"]))[0]
    frames = [np.load(f"{sys.argv[1]}/{name(row)}/layer_{layer:02d}.npy").astype(float) for row in rows]
    for label in ("word", "speaker"):
        y = np.array([row[label] for row in rows])
        utterance = logme(np.stack([f.mean(0) for f in frames]), y)
        frame = logme(np.concatenate(frames), np.repeat(y, [len(f) for f in frames]))
        result += [dict(layer=layer, label=label, unit="utterance", value=utterance), dict(layer=layer, label=label, unit="frame", value=frame)]
json.dump(result, open("tests/golden/scoring/demo_logme.json", "w"), indent=1)
