"""Golden values of CTC forced alignment: tests/golden/tasks/forcedAlignment.json.

The most probable path is the zero-temperature limit of PyTorch's own CTC loss: with log probabilities multiplied by b,
-ctc_loss / b tends to the score of the best path, at most log(number of paths) / b above it, and the gradient, which PyTorch
gives as exp(log p) - occupancy, tells in which frames each column is on that path. With b = 4000 and random scores the best
path's lead over the next one makes all others vanish in float64; occupancies that are not 0 or 1 are refused below.

Run with torch: python tests/golden/make/forced_alignment.py
"""

import json
from pathlib import Path

import torch
from torch.nn.functional import ctc_loss, log_softmax

sharpness = 4000.0


def case(seed, frames, columns, tokens, blank, scale):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(frames, columns, generator=generator, dtype=torch.float64) * scale
    # Rounded first, so that the JSON file holds the very numbers.
    log_probabilities = torch.round(log_softmax(logits, -1), decimals=5)
    sharp = (log_probabilities * sharpness).requires_grad_()
    targets = torch.tensor([tokens])
    loss = ctc_loss(
        sharp.unsqueeze(1), targets, torch.tensor([frames]), torch.tensor([len(tokens)]), blank=blank, reduction="sum"
    )
    loss.backward()
    occupancy = sharp.detach().exp() - sharp.grad
    best = occupancy.argmax(1)
    assert torch.allclose(occupancy.gather(1, best[:, None]), torch.ones(1, dtype=torch.float64), atol=1e-6)
    collapsed = [c for i, c in enumerate(best.tolist()) if c != blank and (i == 0 or c != best[i - 1])]
    assert collapsed == tokens, collapsed
    score = log_probabilities.gather(1, best[:, None]).sum().item()
    assert abs(-loss.item() / sharpness - score) < 1e-6
    return {
        "frames": frames,
        "columns": columns,
        "blank": blank,
        "tokens": tokens,
        "logProbabilities": log_probabilities.flatten().tolist(),
        "path": best.tolist(),
        "score": score,
    }


cases = [
    case(1, 12, 5, [1, 2, 3], 0, 2.0),
    case(2, 40, 8, [1, 1, 2, 7, 7, 7, 3, 1], 0, 1.0),
    case(3, 60, 12, [4, 4, 3, 2, 9, 10, 0, 0, 1, 5, 6, 7, 7], 11, 3.0),
    case(4, 9, 4, [2, 2, 3, 3, 2, 1], 0, 1.5),
    case(5, 80, 30, [5, 3, 20, 20, 11, 29, 1, 2, 2, 8, 13, 21, 4, 4], 0, 0.7),
]
target = Path(__file__).parent.parent / "tasks" / "forcedAlignment.json"
target.write_text(json.dumps(cases))
print(target, target.stat().st_size, torch.__version__)
