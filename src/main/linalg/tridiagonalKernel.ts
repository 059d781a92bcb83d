import { type Tridiagonal } from './tridiagonalise.ts';
import { tridiagonalWasm } from './tridiagonalWasm.ts';

/** What resources/kernels/tridiagonal.ts exports; addresses in bytes. */
interface Kernel {
  memory: { buffer: ArrayBuffer; grow(pages: number): number };
  step(panels: number, n: number, k: number, v: number, w: number, x: number, product: number, entries: number): void;
  reflect(panel: number, n: number, j: number, factors: number, vectors: number, groups: number): void;
}

/** The part of WebAssembly used here: TypeScript declares it only together with a browser's window. */
interface WebAssemblyInterface {
  validate(bytes: Uint8Array): boolean;
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object) => { exports: unknown };
}

const pageBytes = 65536;
/** Vectors held in memory at once: for the common dimensions they fit a core's cache together with a panel. */
const vectorsAtOnce = 64;

const kernel = instantiate();

/** The kernel of this thread, or nothing where WebAssembly or its SIMD is missing. */
function instantiate(): Kernel | undefined {
  const { WebAssembly } = globalThis as { WebAssembly?: WebAssemblyInterface };
  const bytes = Buffer.from(tridiagonalWasm, 'base64');
  if (!WebAssembly?.validate(bytes)) return undefined;
  return new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports as Kernel;
}

/** The first `count` numbers of the kernel's memory, which grows to the largest size asked for; nothing if it cannot. */
function reserve({ memory }: Kernel, count: number): Float64Array | undefined {
  const missing = count * Float64Array.BYTES_PER_ELEMENT - memory.buffer.byteLength;
  try {
    if (missing > 0) memory.grow(Math.ceil(missing / pageBytes));
  } catch {
    return undefined;
  }
  return new Float64Array(memory.buffer, 0, count);
}

/** Order of the matrix in panels: a multiple of 4, with at least one row of zeros, so that every row has one below it. */
function paddedOrder(size: number): number {
  return 4 * (Math.floor(size / 4) + 1);
}

function panelsLength(n: number): number {
  return (n * (n + 4)) / 2;
}

/** Entry (row, c) of a matrix of order n stands in its panels at rowStart + 4 c. */
function rowStart(n: number, row: number): number {
  const panel = Math.floor(row / 4);
  return 4 * panel * (n - 2 * panel - 2) + (row % 4);
}

/** Writes a packed upper triangle into panels of zeros, from the diagonal (`from` = 0) or from right of it (1). */
function toPanels(packed: Float64Array, size: number, panels: Float64Array, n: number, from: 0 | 1): void {
  for (let row = 0, entry = 0; row < size; row++) {
    entry += from;
    for (let c = row + from, at = rowStart(n, row) + 4 * c; c < size; c++, at += 4) panels[at] = packed[entry++];
  }
}

function fromPanels(panels: Float64Array, n: number, packed: Float64Array, size: number): void {
  for (let row = 0, entry = 0; row < size; row++) {
    for (let c = row, at = rowStart(n, row) + 4 * c; c < size; c++, at += 4) packed[entry++] = panels[at];
  }
}

/** Fills the lower halves of the corners on the diagonal. */
function mirrorCorners(panels: Float64Array, n: number): void {
  for (let row = 0; row < n; row++) {
    for (let c = row - (row % 4); c < row; c++) panels[rowStart(n, row) + 4 * c] = panels[rowStart(n, c) + 4 * row];
  }
}

/** As `tridiagonalisePlainly`; nothing, and nothing changed, where the kernel cannot run. */
export function tridiagonaliseByKernel(packed: Float64Array, size: number): Tridiagonal | undefined {
  const n = paddedOrder(size);
  const panelsFrom = 5 * n;
  const numbers = kernel && reserve(kernel, panelsFrom + panelsLength(n));
  if (!numbers) return undefined;
  numbers.fill(0);
  const panels = numbers.subarray(panelsFrom);
  toPanels(packed, size, panels, n, 0);
  mirrorCorners(panels, n);

  const offDiagonal = new Float64Array(size);
  const factors = new Float64Array(size);
  const entries = 4 * n;
  let [v, w, x, product] = [0, n, 2 * n, 3 * n];
  for (let k = 0; k < size; k++) {
    kernel.step(8 * panelsFrom, n, k, 8 * v, 8 * w, 8 * x, 8 * product, 8 * entries);
    offDiagonal[k] = numbers[entries];
    factors[k] = numbers[entries + 1];
    [v, x] = [x, v];
    [w, product] = [product, w];
  }
  fromPanels(panels, n, packed, size);
  const diagonal = Float64Array.from({ length: size }, (_, k) => panels[rowStart(n, k) + 4 * k]);
  const count = Math.max(0, size - 1);
  return { size, diagonal, offDiagonal: offDiagonal.slice(0, count), reflectors: packed, factors: factors.slice(0, count) };
}

/** As `applyReflectorsPlainly`; false, and nothing changed, where the kernel cannot run. */
export function applyReflectorsByKernel(
  { size, reflectors, factors }: Tridiagonal,
  vectors: Float64Array,
  count: number,
): boolean {
  const n = paddedOrder(size);
  const factorsFrom = panelsLength(n);
  const groupsFrom = factorsFrom + n;
  const groups = Math.ceil(Math.min(count, vectorsAtOnce) / 4);
  const numbers = kernel && reserve(kernel, groupsFrom + groups * 4 * n);
  if (!numbers) return false;
  numbers.fill(0);
  toPanels(reflectors, size, numbers, n, 1);
  numbers.set(factors, factorsFrom);
  for (let first = 0; first < count; first += vectorsAtOnce) {
    const some = vectors.subarray(first * size, Math.min(count, first + vectorsAtOnce) * size);
    // Four vectors lie entry by entry: vector i at the places i % 4 of group i / 4.
    const place = (i: number) => groupsFrom + Math.floor(i / 4) * 4 * n + (i % 4);
    for (let i = 0, e = 0; e < some.length; i++) {
      for (let c = 0, at = place(i); c < size; c++, at += 4) numbers[at] = some[e++];
    }
    for (let j = 0; j < n; j += 4) {
      kernel.reflect(
        8 * (rowStart(n, j) + 4 * j),
        n,
        j,
        8 * (factorsFrom + j),
        8 * groupsFrom,
        Math.ceil(some.length / size / 4),
      );
    }
    for (let i = 0, e = 0; e < some.length; i++) {
      for (let c = 0, at = place(i); c < size; c++, at += 4) some[e++] = numbers[at];
    }
  }
  return true;
}
