/** How long the parts of a piece of work took; parts of one name add up, and parts may overlap. */

export interface Phase {
  readonly name: string;
  readonly milliseconds: number;
}

export class Phases {
  private readonly spent = new Map<string, number>();

  /** Does a part of the work. */
  async time<Result>(name: string, work: () => Promise<Result>): Promise<Result> {
    const began = performance.now();
    try {
      return await work();
    } finally {
      this.spent.set(name, (this.spent.get(name) ?? 0) + performance.now() - began);
    }
  }

  /** In the order in which parts first ended. */
  get all(): readonly Phase[] {
    return [...this.spent].map(([name, spent]) => ({ name, milliseconds: Math.round(spent) }));
  }
}
