"""Makes tests/golden/probing/demo.json: probes of tiny-hubert on the demo, by independent implementations.

Run from the root (numpy, scipy, torch, transformers, soundfile). Features by transformers' HubertModel. Clips: every second row of the
manifest, parts by its `split`, where every fifth row of `train` is development; heads in float64 by SciPy's L-BFGS-B to convergence under
each penalty, features standardised by the training part. The penalty follows the rule of Foretune's probes: from strong to weak, ended
after two that lower the development loss by less than 0.001; the lowest counts. A weighted sum has softmax(w) over its layers, w = 0 under
each penalty and a standard normal prior. Characters of the demo's sentences: rows 6, 14, ... for development, 7, 15, ... held out; heads
by PyTorch's ctc_loss and Adam over the whole training part at once, so that no order matters; the rate halved after two epochs without a
lower development loss, at most four times.
"""

import csv
import json

import numpy as np
import soundfile
import torch
from scipy.optimize import minimize
from scipy.special import logsumexp
from transformers import HubertModel, Wav2Vec2FeatureExtractor

PENALTIES = [1, 0.3, 0.1, 0.03, 0.01, 3e-3, 1e-3, 3e-4, 1e-4, 3e-5, 1e-5]
LAYERS = (0, 3, 6)
MODEL = "resources/demo/models/tiny-hubert"
encoder = HubertModel.from_pretrained(MODEL, dtype=torch.float32).eval()
extractor = Wav2Vec2FeatureExtractor.from_pretrained(MODEL)


def states(path):
    """[layer][frame, dimension]"""
    audio, rate = soundfile.read(f"resources/demo/{path}", dtype="float32")
    with torch.no_grad():
        given = extractor(audio, sampling_rate=rate, return_tensors="pt").input_values
        return [h[0].numpy() for h in encoder(given, output_hidden_states=True).hidden_states]


def nll(logits, y):
    return np.mean(logsumexp(logits, axis=1) - logits[np.arange(len(y)), y])


def probe(layers, y, k, part):
    """Layers [n, d]; several make a weighted sum."""
    train, dev, test = (part == name for name in ("train", "dev", "test"))
    x = np.stack([(layer - layer[train].mean(0)) / layer[train].std(0) for layer in layers])
    count, _, d = x.shape
    n, hot = train.sum(), np.eye(k)[y]

    def split(p):
        return p[:count], p[count : count + k * d].reshape(k, d), p[count + k * d :]

    def logits(p):
        w, weight, bias = split(p)
        a = np.exp(w - logsumexp(w))
        f = np.tensordot(a, x, 1)
        return a, f, f @ weight.T + bias

    def objective(p, penalty):
        w, weight, _ = split(p)
        a, f, z = logits(p)
        g = (np.exp(z - logsumexp(z, axis=1)[:, None]) - hot)[train] / n
        along = np.array([np.sum((g @ weight) * layer[train]) for layer in x])
        gw = a * (along - a @ along) + w / n if count > 1 else np.zeros(1)
        value = nll(z[train], y[train]) + penalty / 2 * (weight**2).sum() + (w**2).sum() / (2 * n)
        return value, np.concatenate([gw, (g.T @ f[train] + penalty * weight).ravel(), g.sum(0)])

    p = np.zeros(count + k * d + k)
    best, since = None, 0
    for penalty in PENALTIES:
        p[:count] = 0
        p = minimize(objective, p, (penalty,), jac=True, method="L-BFGS-B", options=dict(maxiter=5000, maxfun=9000, gtol=1e-6, ftol=1e-11)).x
        a, _, z = logits(p)
        loss = nll(z[dev], y[dev])
        since = 0 if best is None or loss < best[0] - 1e-3 else since + 1
        if best is None or loss < best[0]:
            best = (loss, penalty, float(np.mean(z[test].argmax(1) == y[test])), a)
        if since == 2:
            break
    weights = [round(share, 4) for share in best[3]] if count > 1 else None
    return dict(penalty=best[1], accuracy=best[2], weights=weights)


def clips():
    rows = list(csv.DictReader(open("resources/demo/manifest.csv")))[::2]
    part = np.array([row["split"] for row in rows])
    part[np.flatnonzero(part == "train")[4::5]] = "dev"
    hidden = [states(row["path"]) for row in rows]
    frames = np.array([len(own[0]) for own in hidden])
    result = []
    for label in ("word", "speaker"):
        classes = sorted({row[label] for row in rows})
        y = np.array([classes.index(row[label]) for row in rows])
        means = [np.stack([own[layer].astype(float).mean(0) for own in hidden]) for layer in LAYERS]
        for layer, own in zip(LAYERS, means):
            result.append(dict(label=label, unit="utterance", layer=layer, **probe([own], y, len(classes), part)))
        result.append(dict(label=label, unit="utterance", layer=None, **probe(means, y, len(classes), part)))
    all_frames = np.concatenate([own[3] for own in hidden]).astype(float)
    result.append(dict(label=label, unit="frame", layer=3, **probe([all_frames], np.repeat(y, frames), len(classes), np.repeat(part, frames))))
    return result


def characters():
    rows = list(csv.DictReader(open("resources/demo/sentences.csv")))
    part = ["dev" if i % 8 == 6 else "test" if i % 8 == 7 else "train" for i in range(len(rows))]
    tokens = ["", *sorted({c for row in rows for c in row["transcription"]})]
    texts = [torch.tensor([tokens.index(c) for c in row["transcription"]]) for row in rows]
    hidden = [states(row["path"]) for row in rows]
    of = lambda name: [i for i, own in enumerate(part) if own == name]
    standardised = []
    for layer in (5, 6):
        own = [torch.tensor(h[layer]).double() for h in hidden]
        frames = torch.cat([own[i] for i in of("train")])
        standardised.append([(h - frames.mean(0)) / frames.std(0, correction=0) for h in own])
    return [
        dict(layer=layer, **head(layers, texts, len(tokens), of))
        for layer, layers in ((5, standardised[:1]), (6, standardised[1:]), (None, standardised))
    ]


def head(layers, texts, columns, of):
    sizes = (len(layers),), (columns, layers[0][0].shape[1]), (columns,)
    parameters = [torch.zeros(size, dtype=torch.float64, requires_grad=True) for size in sizes]

    def logits(i):
        shares = parameters[0].softmax(0)
        return sum(share * layer[i] for share, layer in zip(shares, layers)) @ parameters[1].T + parameters[2]

    def loss(which):
        total = 0
        for i in which:
            out = logits(i).log_softmax(-1)[:, None]
            total += torch.nn.functional.ctc_loss(out, texts[i][None], [len(out)], [len(texts[i])], reduction="sum")
        return total / sum(len(texts[i]) for i in which)

    adam = torch.optim.Adam(parameters, lr=0.05)
    best, since, halvings, kept, epochs = loss(of("dev")).item(), 0, 0, None, 0
    while epochs < 100 and halvings <= 4:
        epochs += 1
        adam.zero_grad()
        loss(of("train")).backward()
        adam.step()
        with torch.no_grad():
            now = loss(of("dev")).item()
        if now < best:
            best, since, kept = now, 0, [p.detach().clone() for p in parameters]
        else:
            since += 1
        if since == 2:
            since, halvings = 0, halvings + 1
            adam.param_groups[0]["lr"] /= 2
    for p, value in zip(parameters, kept):
        p.data = value
    errors = 0
    for i in of("test"):
        said = [t for t in torch.unique_consecutive(logits(i).argmax(-1)).tolist() if t]
        row = list(range(len(texts[i]) + 1))
        for a, s in enumerate(said, 1):
            corner, row[0] = row[0], a
            for b, w in enumerate(texts[i].tolist(), 1):
                corner, row[b] = row[b], min(row[b] + 1, row[b - 1] + 1, corner + (s != w))
        errors += row[-1]
    shares = [round(share, 4) for share in parameters[0].softmax(0).tolist()] if len(layers) > 1 else None
    tokens = sum(len(texts[i]) for i in of("test"))
    return dict(epochs=epochs, dev_loss=round(best, 4), error=errors / tokens, tokens=tokens, weights=shares)


json.dump(dict(clips=clips(), characters=characters()), open("tests/golden/probing/demo.json", "w"), indent=1)
