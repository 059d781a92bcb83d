"""Makes tests/golden/checkpoints: small torch checkpoints, a safetensors file and what torch reads from them.

Run from the repository root with torch and safetensors: python tests/golden/make/checkpoints.py
"""

import argparse
import collections
import json
import os
import pathlib
import zipfile

import torch
from safetensors.torch import save_file

FOLDER = pathlib.Path("tests/golden/checkpoints")
FOLDER.mkdir(parents=True, exist_ok=True)
torch.manual_seed(0)
expected = {}


def describe(name, tensors, section=""):
    expected[name] = {
        "section": section,
        "tensors": {
            key: {"shape": list(value.shape), "values": value.detach().to(torch.float32).reshape(-1).tolist()}
            for key, value in tensors.items()
        },
    }


def save(name, value, tensors, section=""):
    torch.save(value, FOLDER / name)
    describe(name, tensors, section)


plain = collections.OrderedDict(
    float32=torch.randn(2, 3),
    float16=torch.randn(4).half(),
    bfloat16=torch.randn(4).bfloat16(),
    float64=torch.randn(2, 2).double(),
    int64=torch.tensor([-3, 7]),
    int8=torch.tensor([-3, 7], dtype=torch.int8),
    bool=torch.tensor([True, False, True]),
    scalar=torch.tensor(2.5),
    empty=torch.zeros(0, 3),
    parameter=torch.nn.Parameter(torch.randn(3)),
)
save("types.pt", plain, plain)

base = torch.arange(24, dtype=torch.float32)
views = {
    "whole": base,
    "transposed": base.reshape(4, 6).t(),
    "slice": base.reshape(4, 6)[1:3, 2:5],
    "permuted": base.reshape(2, 3, 4).permute(2, 0, 1),
    "expanded": torch.tensor([1.0, 2.0]).unsqueeze(1).expand(2, 3),
    "column": base.reshape(4, 6)[:, 5],
}
save("views.pt", views, views)

module = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
weights = module.state_dict()
optimiser = torch.optim.Adam(module.parameters())
module(torch.randn(4, 3)).sum().backward()
optimiser.step()
weights = {key: value.clone() for key, value in module.state_dict().items()}
save(
    "training.pt",
    {
        "epoch": 3,
        "args": argparse.Namespace(lr=1e-3, path=pathlib.PurePosixPath("a").name),
        "optimizer": optimiser.state_dict(),
        "state_dict": module.state_dict(),
        "best": torch.tensor(0.5),
        "seed": 2**63,
        "history": [0.1, 0.2],
        "nothing": None,
    },
    weights,
    "state_dict",
)
save("s3prl.pt", {"Optimizer": {}, "Step": 10, "Upstream": weights, "Config": {"a": [1, 2]}}, weights, "Upstream")
save("fairseq.pt", {"cfg": {"model": {"_name": "hubert"}}, "model": weights, "ema": weights}, weights, "model")
save("unnamed.pt", {"info": {"mean": torch.zeros(1)}, "net": {"inner": weights}}, weights, "net.inner")


class Reduce:
    def __init__(self, function, *arguments):
        self.function = function
        self.arguments = arguments

    def __reduce__(self):
        return self.function, self.arguments


torch.save({"weight": torch.zeros(2), "x": Reduce(os.system, "echo unsafe")}, FOLDER / "os_system.pt")
torch.save({"weight": torch.zeros(2), "x": Reduce(eval, "1 + 1")}, FOLDER / "eval.pt")
torch.save(torch.nn.Linear(2, 2), FOLDER / "module.pt")
torch.save({"weight": torch.zeros(2)}, FOLDER / "legacy.pt", _use_new_zipfile_serialization=False)
torch.save({"weight": torch.zeros(2, dtype=torch.complex64)}, FOLDER / "complex.pt")
torch.save(torch.zeros(2), FOLDER / "tensor.pt")
torch.jit.script(torch.nn.Linear(2, 2)).save(str(FOLDER / "script.pt"))
with zipfile.ZipFile(FOLDER / "s3prl.pt") as stored, zipfile.ZipFile(FOLDER / "deflated.pt", "w", zipfile.ZIP_DEFLATED) as out:
    for entry in stored.namelist():
        out.writestr(entry, stored.read(entry))

tensors = {key: value.contiguous().clone() for key, value in plain.items() if key != "parameter"}
save_file(tensors, FOLDER / "types.safetensors", metadata={"format": "pt"})
describe("types.safetensors", tensors)

(FOLDER / "expected.json").write_text(json.dumps(expected, separators=(",", ":")) + "\n")
