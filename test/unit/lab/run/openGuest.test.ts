import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { ExitCode, LabError } from "../../../../lab/config/errors.ts";
import { DamagedImage } from "../../../../lab/image/image.ts";
import { silentProgress } from "../../../../lab/report/progress.ts";
import {
  forkedGuest,
  oneAtATime,
  type GuestSource,
  type OpenGuest,
} from "../../../../lab/run/openGuest.ts";
import { NextFork } from "../../../../lab/warm/nextFork.ts";
import type { ForkBase } from "../../../../lab/warm/sibling.ts";
import { FakeGuest, plan } from "./fakeGuest.ts";

const own: OpenGuest = {
  guest: new FakeGuest(),
  consoleFile: "/console.log",
  domain: "own",
  fresh: false,
  close: () => Promise.resolve(),
};
const otherwise: GuestSource = () => Promise.resolve(own);
const none = (error: Error): Promise<ForkBase> => Promise.reject(error);
const noImage = new LabError("no warm image\nthe console said …", ExitCode.infrastructureFailed);

function opened(source: GuestSource, signal?: AbortSignal) {
  const lines: string[] = [];
  const logged: string[] = [];
  const progress = { ...silentProgress, line: (text: string) => void lines.push(text) };
  const guest = source(plan, progress, { write: (text) => void logged.push(text) }, signal);
  return { guest, lines, logged };
}

describe("a fork for a run", () => {
  it("that can't be had is replaced, and why is told in one line and logged", async () => {
    const { guest, lines, logged } = opened(forkedGuest(none(noImage), otherwise));
    expect(await guest).toBe(own);
    const why = "no fork for the run: no warm image; it takes the stack's own guest";
    expect(lines).toEqual([why]);
    expect(logged).toEqual([why]);
  });

  describe("that did not start", () => {
    const notStarted = new LabError("QEMU was killed\nmore", ExitCode.infrastructureFailed);
    const started = { ...own, domain: "second", remove: () => Promise.resolve() };
    const warm = { warm: { key: "0" } } as ForkBase;
    const source = (...ends: (Error | typeof started)[]): GuestSource => {
      const start = (): Promise<typeof started> => {
        const end = ends.shift();
        return end === undefined || end instanceof Error
          ? Promise.reject(end ?? notStarted)
          : Promise.resolve(end);
      };
      return forkedGuest(Promise.resolve(warm), otherwise, new NextFork(start));
    };

    it("is started once more, and the guest says why", async () => {
      const { guest, lines } = opened(source(notStarted, started));
      const instead = "a fork did not start: QEMU was killed";
      expect(await guest).toMatchObject({ domain: "second", fresh: true, instead });
      expect(lines).toEqual([`${instead}; once more`]);
    });

    it("is not started a third time", async () => {
      const { guest } = opened(source(notStarted, notStarted, started));
      expect(await guest).toBe(own);
    });

    it("says nothing when it started", async () => {
      expect(await opened(source(started)).guest).not.toHaveProperty("instead");
    });
  });

  it("is replaced for every run", async () => {
    const source = forkedGuest(none(noImage), otherwise);
    expect(await opened(source).guest).toBe(own);
    expect(await opened(source).guest).toBe(own);
  });

  it("is not replaced when the user cancels", async () => {
    const { guest, lines } = opened(forkedGuest(none(noImage), otherwise), AbortSignal.abort());
    await expect(guest).rejects.toBe(noImage);
    expect(lines).toEqual([]);
  });

  it("is not replaced when the image that all guests lie over is damaged", async () => {
    const damaged = new DamagedImage("image debian-12-1 is damaged", "Build it.");
    const { guest, lines } = opened(forkedGuest(none(damaged), otherwise));
    await expect(guest).rejects.toBe(damaged);
    expect(lines).toEqual([]);
  });

  it("that nobody asks for is nobody's fault", async () => {
    const unhandled: unknown[] = [];
    const note = (reason: unknown): void => void unhandled.push(reason);
    process.on("unhandledRejection", note);
    forkedGuest(none(noImage), otherwise);
    await delay(5);
    process.off("unhandledRejection", note);
    expect(unhandled).toEqual([]);
  });
});

it("a guest for one run at a time is opened again when it is closed or can't be had", async () => {
  const opens: string[] = [];
  let fails = false;
  const source = oneAtATime((asked) => {
    opens.push(asked.runId);
    return fails ? Promise.reject(noImage) : Promise.resolve(own);
  });
  const ask = (runId: string) => source({ ...plan, runId }, silentProgress, { write: () => 0 });
  const first = await ask("1");
  fails = true;
  const second = ask("2");
  const third = ask("3");
  second.catch(() => undefined);
  await delay(5);
  expect(opens).toEqual(["1"]);
  await first.close();
  await expect(second).rejects.toBe(noImage);
  await expect(third).rejects.toBe(noImage);
  fails = false;
  await (await ask("4")).close();
  expect(opens).toEqual(["1", "2", "3", "4"]);
});
