import { ForetuneError } from '#shared/errors.ts';

import { rowsWasm } from './rowsWasm.ts';

/** What resources/kernels/rows.ts exports; addresses in bytes. */
interface Kernel {
  memory: { buffer: ArrayBuffer; grow(pages: number): number };
  multiplyF32(x: number, rows: number, d: number, w: number, k: number, z: number): void;
  multiplyF64(x: number, rows: number, d: number, w: number, k: number, z: number): void;
  accumulateF32(g: number, rows: number, k: number, x: number, d: number, sums: number): void;
  accumulateF64(g: number, rows: number, k: number, x: number, d: number, sums: number): void;
  multiplyBack(g: number, rows: number, k: number, w: number, d: number, back: number): void;
  addScaled(sum: number, factor: number, x: number, count: number): void;
  dot(a: number, x: number, count: number): number;
}

/** The part of WebAssembly used here: TypeScript declares it only together with a browser's window. */
interface WebAssemblyInterface {
  validate(bytes: Uint8Array): boolean;
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object) => { exports: unknown };
}

const pageBytes = 65536;
/** Addresses are 32 bits wide; what a block of rows needs lies far below. */
const mostBytes = 2 ** 31;

/** Rows or columns as the kernel holds them: a multiple of 4. */
export function padded(count: number): number {
  return 4 * Math.ceil(count / 4);
}

/** A place for matrices in the kernel's memory, all of which must be asked for before any is used. */
export interface MatrixSize {
  rows: number;
  columns: number;
  /** Numbers in float32; float64 otherwise. */
  single?: boolean;
}

/** A matrix in the kernel's memory: row-major; its last rows and columns may be padding, which must be zero in columns and weights. */
export interface KernelMatrix<T extends Float32Array | Float64Array = Float32Array | Float64Array> {
  values: T;
  rows: number;
  columns: number;
}

/** Products of rows with weights, over matrices that lie in this kernel's memory. Sums are float64, whatever the rows are. */
export interface RowProducts {
  /** The matrices asked for, in that order, all zero. */
  matrices: KernelMatrix[];
  /** z = x w' for the first `rows` rows. x [rows, d], w [k, d], z [rows, k]. */
  multiply(x: KernelMatrix, w: KernelMatrix, z: KernelMatrix, rows: number): void;
  /** sums += g' x over the first `rows` rows. g [rows, k], x [rows, d], sums [k, d]. */
  accumulate(g: KernelMatrix, x: KernelMatrix, sums: KernelMatrix, rows: number): void;
  /** back = g w for the first `rows` rows. g [rows, k], w [k, d], back [rows, d]. */
  multiplyBack(g: KernelMatrix, w: KernelMatrix, back: KernelMatrix, rows: number): void;
  /** sum += factor x over the first `rows` rows; x in float32. */
  addScaled(sum: KernelMatrix, factor: number, x: KernelMatrix, rows: number): void;
  /** Sum of the products of the first `rows` rows of both; x in float32. */
  dot(a: KernelMatrix, x: KernelMatrix, rows: number): number;
}

/**
 * Opens a kernel of its own with room for these matrices.
 *
 * @throws ForetuneError `unsupported` where WebAssembly or its SIMD is missing, `invalid-data` for more than 2 GiB
 */
export function openRowProducts(sizes: readonly MatrixSize[]): RowProducts {
  const { WebAssembly } = globalThis as { WebAssembly?: WebAssemblyInterface };
  const code = Buffer.from(rowsWasm, 'base64');
  if (!WebAssembly?.validate(code))
    throw new ForetuneError('unsupported', 'This processor or Node.js has no WebAssembly SIMD, which training heads needs.');
  const kernel = new WebAssembly.Instance(new WebAssembly.Module(code)).exports as Kernel;
  // The first bytes stay free, so that no matrix has the address 0.
  let end = 64;
  const places = sizes.map(({ rows, columns, single = false }) => {
    const held = { rows: padded(rows), columns: padded(columns) };
    const place = { ...held, single, start: end };
    end += 16 * Math.ceil((held.rows * held.columns * (single ? 4 : 8)) / 16);
    return place;
  });
  if (end > mostBytes)
    throw new ForetuneError('invalid-data', `Training this head needs ${end} bytes at once, more than ${mostBytes}.`);
  const missing = end - kernel.memory.buffer.byteLength;
  if (missing > 0) kernel.memory.grow(Math.ceil(missing / pageBytes));
  const { buffer } = kernel.memory;
  const matrices = places.map(({ rows, columns, single, start }): KernelMatrix => ({
    values: single ? new Float32Array(buffer, start, rows * columns) : new Float64Array(buffer, start, rows * columns),
    rows,
    columns,
  }));
  const at = ({ values }: KernelMatrix): number => values.byteOffset;
  const isSingle = ({ values }: KernelMatrix): boolean => values instanceof Float32Array;
  return {
    matrices,
    multiply(x, w, z, rows) {
      const run = isSingle(x) ? 'multiplyF32' : 'multiplyF64';
      kernel[run](at(x), padded(rows), x.columns, at(w), w.rows, at(z));
    },
    accumulate(g, x, sums, rows) {
      const run = isSingle(x) ? 'accumulateF32' : 'accumulateF64';
      kernel[run](at(g), rows, g.columns, at(x), x.columns, at(sums));
    },
    multiplyBack(g, w, back, rows) {
      kernel.multiplyBack(at(g), padded(rows), w.rows, at(w), w.columns, at(back));
    },
    addScaled: (sum, factor, x, rows) => kernel.addScaled(at(sum), factor, at(x), rows * x.columns),
    dot: (a, x, rows) => kernel.dot(at(a), at(x), rows * x.columns),
  };
}
