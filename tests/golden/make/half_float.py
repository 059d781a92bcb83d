"""Makes tests/golden/halfFloat.json: float32 values as bits, and the float16 and bfloat16 bits torch rounds them to.

Run from the repository root with torch: python tests/golden/make/half_float.py
"""

import json
import pathlib

import torch

generator = torch.Generator().manual_seed(0)
patterns = torch.randint(-(2**31), 2**31, (300,), generator=generator, dtype=torch.int64)
# Exponents near float16's limits, where rounding is hardest: 2^-27 to 2^17.
near = (torch.randint(100, 145, (300,), generator=generator) << 23) | torch.randint(0, 2**23, (300,), generator=generator)
# Exact ties of float16 and of bfloat16, and their neighbours.
ties = torch.tensor([(e << 23) | (f << 13) | 0x1000 for e in range(100, 144, 4) for f in (0, 1, 2, 1023)])
ties = torch.cat([ties, ties + 1, ties - 1, (ties & ~0xFFFF) | 0x8000])
special = torch.tensor([0, 0x80000000, 1, 0x7F800000, 0xFF800000, 0x7F7FFFFF, 0x477FEFFF, 0x477FF000, 0x33000000, 0x33000001, 0x387FFFFF])
bits = torch.cat([patterns & 0xFFFFFFFF, near, ties, special])
signed = torch.where(bits >= 2**31, bits - 2**32, bits).to(torch.int32)
values = signed.view(torch.float32)
keep = ~torch.isnan(values)
bits, values = bits[keep], values[keep]
golden = {
    "float32": bits.tolist(),
    "float16": (values.half().view(torch.int16).to(torch.int64) & 0xFFFF).tolist(),
    "bfloat16": (values.bfloat16().view(torch.int16).to(torch.int64) & 0xFFFF).tolist(),
}
pathlib.Path("tests/golden/halfFloat.json").write_text(json.dumps(golden, separators=(",", ":")) + "\n")
