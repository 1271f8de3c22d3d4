/**
 * What the rows measure on: a checkout of its own with stack `ci`, brought into the state that a row
 * wants.
 */
import { readFile, stat } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { execa } from "execa";
import { chooseAccelerator } from "../lab/hypervisor/accelerator.ts";
import { diskNames } from "../lab/hypervisor/diskNames.ts";
import { places } from "../lab/config/places.ts";
import { builtImage, openImage, type BuiltImage } from "../lab/image/image.ts";
import { Checkout, expectExit, type Ended } from "../test/e2e/support/checkout.ts";

export const stack = "ci";

/** How often a row measures; fewer where the environment says so, for trying a row. */
export function rounds(usual: number): number {
  return Math.min(usual, Number(process.env["VEXLAB_BENCH_ROUNDS"] || usual));
}

const sshPort = 2989;

/** What is known after the first `up`, which builds whatever is missing. */
export interface Prepared {
  readonly image: BuiltImage;
  readonly cloudInit: Buffer;
  /** The private key of the stack's user. */
  readonly key: string;
}

export class Lab {
  private first: Promise<Prepared> | undefined;
  private isUp = false;

  private constructor(
    readonly checkout: Checkout,
    readonly accelerator: "kvm" | "tcg",
    /** Aborted when the bench is to end. */
    readonly signal: AbortSignal,
  ) {}

  static async make(signal: AbortSignal): Promise<Lab> {
    const { accelerator } = await chooseAccelerator("auto");
    const checkout = await Checkout.make();
    await checkout.configure(stack, { sshPort });
    // The others take minutes of every `up`, after the moment that is measured.
    await checkout.quickSuites();
    return new Lab(checkout, accelerator, signal);
  }

  /** The first `up`: image, module and warm image are there afterwards, and so is the stack. */
  prepared(): Promise<Prepared> {
    this.first ??= this.prepare();
    return this.first;
  }

  private async prepare(): Promise<Prepared> {
    say("first up: builds what is missing, to be kept");
    const { checkout } = this;
    await this.vexlab("up", stack);
    this.isUp = true;
    const { imageId } = (await checkout.outputs(stack)) as { imageId: string };
    // `destroy` removes the builds, but a built module is where most rows begin.
    await execa("cp", ["-a", checkout.path(".vexlab/builds"), checkout.path("builds-kept")]);
    return {
      image: builtImage(await openImage(imageId)),
      cloudInit: await readFile(
        checkout.path(`.vexlab/stacks/${stack}/pool/${diskNames.cloudInit}`),
      ),
      key: await checkout.read(`.vexlab/stacks/${stack}/id_ed25519`),
    };
  }

  /** The stack is up afterwards. */
  async up(): Promise<Prepared> {
    const prepared = await this.prepared();
    if (!this.isUp) await this.timedUp("auto");
    return prepared;
  }

  /** No guest of the stack's runs afterwards: it would take processor time from what is measured. */
  async down(): Promise<void> {
    await this.prepared();
    if (!this.isUp) return;
    await this.vexlab("destroy", stack);
    this.isUp = false;
  }

  /**
   * `up` of a stack that isn't there, with a built image and a built module.
   * @returns seconds until the guest was recorded as ready, and until the command ended
   */
  async timedUp(warm: "auto" | "off"): Promise<{ ready: number; whole: number }> {
    const { checkout } = this;
    await this.down();
    await checkout.configure(stack, { warm });
    const builds = checkout.path(".vexlab/builds");
    await execa("cp", ["-aT", checkout.path("builds-kept"), builds]);
    const began = performance.timeOrigin + performance.now();
    const { seconds } = await this.vexlab("up", stack);
    this.isUp = true;
    // Written last by the wait for the guest, after its checks; a warm start writes it once before.
    const { mtimeMs } = await stat(checkout.path(`.vexlab/stacks/${stack}/guest.json`));
    await checkout.configure(stack, { warm: undefined });
    return { ready: (mtimeMs - began) / 1000, whole: seconds };
  }

  /** Runs a verb in the checkout. @throws Error when it fails */
  async vexlab(...words: string[]): Promise<Ended> {
    this.signal.throwIfAborted();
    return expectExit(await this.checkout.vexlab(words), 0);
  }

  /** A folder in the user's cache for what the bench installs. */
  get cache(): string {
    return `${places().cache}/bench`;
  }

  async until(attempt: () => Promise<unknown>, what: string, pauseMs = 50): Promise<void> {
    const deadline = performance.now() + 300_000;
    for (;;) {
      this.signal.throwIfAborted();
      try {
        await attempt();
        return;
      } catch (error) {
        if (performance.now() > deadline)
          throw new Error(`waited too long for ${what}`, { cause: error });
        await sleep(pauseMs);
      }
    }
  }

  /** Removes everything but what is in the user's cache. */
  async remove(): Promise<void> {
    const ended = await this.checkout.vexlab(["destroy", stack]);
    if (ended.exitCode !== 0) say(`destroy: ${ended.all}`);
    else await this.checkout.remove();
  }
}

export function say(text: string): void {
  process.stderr.write(`bench: ${text}\n`);
}
