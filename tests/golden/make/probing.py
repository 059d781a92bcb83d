"""Makes tests/golden/probing/losses.json: CTC losses and gradients by PyTorch, and optima of penalised linear heads by SciPy.

    python probing.py > ../probing/losses.json      (numpy, scipy, torch)

Data come from a linear congruential generator, which gives the same bits in any language. Optima are found independently of the
product: SciPy's L-BFGS-B in float64 with PyTorch's derivatives, to gradients below 1e-9; squared errors in closed form.
"""

import json

import numpy as np
import torch
from scipy.optimize import minimize

torch.set_default_dtype(torch.float64)


class Lcg:
    def __init__(self, seed):
        self.state = seed

    def uniform(self):
        self.state = (self.state * 1664525 + 1013904223) % 2**32
        return self.state / 2**32

    def bell(self):
        return self.uniform() + self.uniform() + self.uniform() + self.uniform() - 2


def ctc(seed, frames, columns, tokens, blank, scale):
    rng = Lcg(seed)
    logits = torch.tensor([[scale * rng.bell() for _ in range(columns)] for _ in range(frames)], requires_grad=True)
    loss = torch.nn.functional.ctc_loss(
        logits.log_softmax(-1)[:, None], torch.tensor([tokens]), [frames], [len(tokens)], blank=blank, reduction="sum"
    )
    loss.backward()
    return dict(seed=seed, frames=frames, columns=columns, tokens=tokens, blank=blank, scale=scale,
                loss=loss.item(), gradient=[round(g, 14) for g in logits.grad.flatten().tolist()])


def head(seed, n, d, k, kind, penalty):
    rng = Lcg(seed)
    x = torch.tensor([[rng.bell() for _ in range(d)] for _ in range(n)])
    truth = torch.tensor([[rng.bell() for _ in range(d)] for _ in range(k)])
    noise = torch.tensor([[rng.bell() for _ in range(k)] for _ in range(n)])
    # Features are held in float32; what they are to predict comes from the exact ones.
    z = x @ truth.T + noise
    x = x.float().double()
    if kind == "classification":
        y = z.argmax(1)
        loss_of = lambda out: torch.nn.functional.cross_entropy(out, y)
    elif kind == "regression":
        y = z
        loss_of = lambda out: 0.5 * ((out - y) ** 2).mean()
    else:
        y = (z > 0).double()
        loss_of = lambda out: torch.nn.functional.binary_cross_entropy_with_logits(out, y)

    def objective(p):
        p = torch.tensor(p, requires_grad=True)
        w, b = p[: k * d].reshape(k, d), p[k * d :]
        value = loss_of(x @ w.T + b) + penalty / 2 * (w**2).sum()
        value.backward()
        return value.item(), p.grad.numpy()

    found = minimize(objective, np.zeros(k * d + k), jac=True, method="L-BFGS-B",
                     options=dict(maxiter=20000, maxfun=50000, ftol=1e-16, gtol=1e-10, maxcor=30))
    return dict(seed=seed, n=n, d=d, k=k, kind=kind, penalty=penalty, value=found.fun,
                weight=[round(w, 9) for w in found.x[: k * d].tolist()])


print(json.dumps(dict(
    ctc=[
        ctc(1, 6, 4, [1, 2], 0, 2),
        ctc(2, 9, 5, [1, 1, 3], 0, 4),
        ctc(3, 5, 3, [2, 2, 2], 0, 1),
        ctc(4, 12, 4, [0, 2, 0, 1], 3, 3),
        ctc(5, 40, 7, [3, 3, 1, 5, 6, 2, 2, 4], 0, 8),
        ctc(6, 7, 3, [], 0, 2),
    ],
    heads=[
        head(11, 60, 5, 3, "classification", 0.01),
        head(12, 300, 9, 2, "classification", 1e-4),
        head(13, 80, 7, 2, "regression", 0.1),
        head(14, 90, 6, 4, "multi-label", 0.02),
    ],
)))
