import { describe, expect, it } from "vitest";
import { NextFork } from "../../../../lab/warm/nextFork.ts";
import type { ForkBase, Sibling } from "../../../../lab/warm/sibling.ts";

/** Forks that are numbers; which were started, and which removed. */
function farm(options: { readonly fails?: (number: number) => boolean; dead?: number } = {}) {
  const started: ForkBase[] = [];
  const removed: string[] = [];
  const start = (base: ForkBase, signal?: AbortSignal): Promise<Sibling> => {
    const number = started.push(base);
    if (options.fails?.(number)) return Promise.reject(new Error(`no fork ${number}`));
    const domain = `fork-${number}`;
    const run = () =>
      options.dead === number
        ? Promise.reject(new Error("lost"))
        : Promise.resolve({ exitCode: 0 });
    return Promise.resolve({
      ...{ domain, consoleFile: "", signal, guest: { run } },
      remove: () => {
        removed.push(domain);
        return Promise.resolve();
      },
    } as unknown as Sibling);
  };
  return { started, removed, next: new NextFork(start) };
}

const base = (key = "a", definition = "<domain/>"): ForkBase =>
  ({ warm: { key }, described: { definition }, builds: "/builds" }) as ForkBase;

describe("the next fork", () => {
  it("is the one that was started ahead, once", async () => {
    const { next, started } = farm();
    next.begin(base());
    next.begin(base());
    expect((await next.take(base())).domain).toBe("fork-1");
    expect((await next.take(base())).domain).toBe("fork-2");
    expect(started).toHaveLength(2);
  });

  it("is started when it is wanted, if none was before", async () => {
    const { next } = farm();
    expect((await next.take(base())).domain).toBe("fork-1");
  });

  it.each([
    ["warm image", base("b")],
    ["definition", base("a", "<domain id='2'/>")],
  ])("is another one after the stack got another %s", async (_, other) => {
    const { next, removed } = farm();
    next.begin(base());
    expect((await next.take(other)).domain).toBe("fork-2");
    expect(removed).toEqual(["fork-1"]);
  });

  it("is another one when the waiting one has died", async () => {
    const { next, removed } = farm({ dead: 1 });
    next.begin(base());
    expect((await next.take(base())).domain).toBe("fork-2");
    expect(removed).toEqual(["fork-1"]);
  });

  it("is tried again when it could not be started ahead; then the reason is told", async () => {
    const once = farm({ fails: (number) => number === 1 }).next;
    once.begin(base());
    expect((await once.take(base())).domain).toBe("fork-2");
    const never = farm({ fails: () => true }).next;
    never.begin(base());
    await expect(never.take(base())).rejects.toThrow("no fork 2");
  });

  it("that nobody took is removed at the end, and no other is started", async () => {
    const { next, started, removed } = farm();
    next.begin(base());
    await next.close();
    next.begin(base());
    expect(removed).toEqual(["fork-1"]);
    expect(started).toHaveLength(1);
  });
});
