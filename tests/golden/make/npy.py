"""Makes tests/golden/npy: arrays written by NumPy, and their values in C order.

Run from the repository root with numpy: python tests/golden/make/npy.py
"""

import json
import pathlib

import numpy as np

FOLDER = pathlib.Path("tests/golden/npy")
FOLDER.mkdir(parents=True, exist_ok=True)
generator = np.random.default_rng(0)
floats = generator.standard_normal((2, 3, 4))
expected = {}


def save(name, array, version=None):
    with open(FOLDER / f"{name}.npy", "wb") as file:
        np.lib.format.write_array(file, array, version=version)
    expected[name] = {"shape": list(array.shape), "dtype": array.dtype.str, "values": array.ravel(order="C").tolist()}


for dtype in ["<f2", "<f4", "<f8", ">f4", ">f8"]:
    save(f"c_{dtype[1:]}_{'big' if dtype[0] == '>' else 'little'}", floats.astype(dtype))
save("fortran_3d", np.asfortranarray(floats.astype("<f4")))
save("fortran_2d_f8", np.asfortranarray(floats[0]))
save("transposed_view", np.arange(6, dtype="<i4").reshape(2, 3).T)
for dtype in ["|i1", "<i2", "<i4", "<i8", ">i2"]:
    save(f"int_{dtype[1:]}_{'big' if dtype[0] == '>' else 'little'}", np.array([-3, 0, 100], dtype=dtype))
for dtype in ["|u1", "<u2", "<u4", "<u8"]:
    save(f"uint_{dtype[1:]}", np.array([3, 0, 200], dtype=dtype))
save("large_i8", np.array([-(2**40), 2**53 - 1], dtype="<i8"))
save("large_u4", np.array([2**32 - 1, 1], dtype="<u4"))
save("bool", np.array([[True, False], [False, True]]))
save("unicode", np.array(["yes", "ʃɔː 🎙", ""]))
save("bytes", np.array([b"yes", b"no"]))
save("scalar", np.array(2.5))
save("empty", np.zeros((0, 5), dtype="<f4"))
save("version_2", floats[0], version=(2, 0))
save("version_3", floats[0], version=(3, 0))
for name in ["bytes"]:
    expected[name]["values"] = [value.decode() for value in expected[name]["values"]]

np.save(FOLDER / "object.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
np.save(FOLDER / "complex.npy", np.array([1j]))
np.save(FOLDER / "records.npy", np.array([(1, 2.0)], dtype=[("a", "<i4"), ("b", "<f4")]))
np.save(FOLDER / "too_large.npy", np.array([2**62], dtype="<i8"))
(FOLDER / "expected.json").write_text(json.dumps(expected, separators=(",", ":")) + "\n")
