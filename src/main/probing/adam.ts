/** Adam (Kingma & Ba 2015, algorithm 1) on one array of parameters. */
export class Adam {
  private readonly mean: Float64Array;
  private readonly square: Float64Array;
  private steps = 0;

  constructor(size: number) {
    this.mean = new Float64Array(size);
    this.square = new Float64Array(size);
  }

  /** Moves `x` along the gradient; every component's step is about `rate` at first. */
  step(x: Float64Array, gradient: Float64Array, rate: number): void {
    const [b1, b2, epsilon] = [0.9, 0.999, 1e-8];
    this.steps++;
    const meanScale = 1 / (1 - b1 ** this.steps);
    const squareScale = 1 / (1 - b2 ** this.steps);
    for (let i = 0; i < x.length; i++) {
      const g = gradient[i];
      this.mean[i] = b1 * this.mean[i] + (1 - b1) * g;
      this.square[i] = b2 * this.square[i] + (1 - b2) * g * g;
      x[i] -= (rate * this.mean[i] * meanScale) / (Math.sqrt(this.square[i] * squareScale) + epsilon);
    }
  }
}
