"""First draws of src/main/linalg/random.ts for the seed "foretune", written independently with Python's integers."""

M64, M32 = 2**64 - 1, 2**32 - 1

state = 0xCBF29CE484222325
for byte in b"foretune":
    state = ((state ^ byte) * 0x100000001B3) & M64


def splitmix64() -> int:
    global state
    state = (state + 0x9E3779B97F4A7C15) & M64
    z = state
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & M64
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & M64
    return z ^ (z >> 31)


a, b = splitmix64(), splitmix64()
s = [a & M32, a >> 32, b & M32, b >> 32]


def rotate(x: int, k: int) -> int:
    return ((x << k) | (x >> (32 - k))) & M32


def xoshiro128starstar() -> int:
    result = rotate((s[1] * 5) & M32, 7) * 9 & M32
    t = (s[1] << 9) & M32
    s[2] ^= s[0]
    s[3] ^= s[1]
    s[1] ^= s[2]
    s[0] ^= s[3]
    s[2] ^= t
    s[3] = rotate(s[3], 11)
    return result


print([xoshiro128starstar() for _ in range(5)])
