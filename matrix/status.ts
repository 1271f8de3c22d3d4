import { formatDuration, type Progress } from "../lab/report/progress.ts";

const statusMs = 60_000;

/** Says now and then what is under way, of which nothing may be heard for minutes. */
export class Status {
  private readonly running = new Map<string, number>();
  private readonly timer: NodeJS.Timeout;

  constructor(
    private readonly progress: Progress,
    private readonly cells: number,
    private readonly outcomes: ReadonlyMap<string, unknown>,
  ) {
    this.timer = setInterval(() => this.tell(), statusMs).unref();
  }

  began(label: string): void {
    this.running.set(label, performance.now());
  }

  ended(label: string): void {
    this.running.delete(label);
  }

  stop(): void {
    clearInterval(this.timer);
  }

  private tell(): void {
    const now = performance.now();
    const running = [...this.running].map(
      ([label, since]) => `${label} for ${formatDuration(now - since)}`,
    );
    if (running.length === 0) return;
    const waiting = this.cells - this.outcomes.size - running.length;
    const counts = `${this.outcomes.size} of ${this.cells} cells done, ${waiting} waiting`;
    this.progress.line(`${counts}; ${running.join(", ")}`);
  }
}
