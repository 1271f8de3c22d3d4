/**
 * A guest that is fit for a run: it runs, answers, and its kernel has not been broken by an earlier
 * run. A broken one was left for looking at; it is restarted now.
 */
import { readGuestRecord } from "../guest/record.ts";
import { startDomain, stopDomain } from "../guest/power.ts";
import { GuestError, GuestSession, type GuestAddress } from "../guest/session.ts";
import { waitForGuest } from "../guest/wait.ts";
import { domainState } from "../guest/domainWatch.ts";
import type { Progress } from "../report/progress.ts";
import { bootPatience, imageOf } from "../warm/stackGuest.ts";
import type { RunLog } from "./guest.ts";
import { isBrokenTaint, KernelWatch } from "./kernelLog.ts";
import { unloadModules } from "./load.ts";
import type { RunPlan } from "./plan.ts";
import { releaseMounts } from "./prepare.ts";

export interface GuestPlace {
  readonly stackFolder: string;
  readonly address: GuestAddress;
  readonly consoleFile: string;
  readonly domain: string;
  /** As libvirt's clients take it. */
  readonly libvirtUri: string;
  /** Milliseconds for a boot. */
  readonly bootMs: number;
}

/** A handshake with an emulated guest takes 1-3 s. */
const connectMs = 45_000;

/**
 * A session with the guest, which is started or restarted as needed.
 * @throws DamagedImage; LabError when the guest can't be started or does not get ready.
 */
export async function readyGuest(
  place: GuestPlace,
  plan: RunPlan,
  progress: Progress,
  log: RunLog,
  signal?: AbortSignal,
): Promise<GuestSession> {
  const { libvirtUri, domain } = place;
  const connect = (): Promise<GuestSession> =>
    GuestSession.connect(place.address, { deadlineMs: connectMs, ...(signal && { signal }) });

  const state = await domainState(libvirtUri, domain);
  await imageOf(place);
  const patient = { ...place, bootMs: place.bootMs * (await bootPatience(place)) };
  if (state !== "running" && state !== "idle") {
    await boot(patient, progress, `starting the guest (it was ${state})`);
    return connect();
  }
  const { session, broken } = await examine(connect, plan, log);
  if (broken === undefined && session) return session;
  session?.close();
  const why = `restarting the guest: ${broken ?? "it does not answer"}`;
  log.write(why);
  await boot(patient, progress, why);
  return connect();
}

async function examine(
  connect: () => Promise<GuestSession>,
  plan: RunPlan,
  log: RunLog,
): Promise<{ session?: GuestSession; broken?: string }> {
  let session: GuestSession | undefined;
  try {
    session = await connect();
    const { state } = await KernelWatch.begin(session, plan.runId);
    if (isBrokenTaint(state.taint)) return { session, broken: "its kernel has crashed before" };
    if (!plan.modules.some(({ name }) => state.modules.has(name))) return { session };
    await releaseMounts(session, plan, log);
    const [stuck] = await unloadModules(session, plan, log, state.modules);
    return { session, ...(stuck !== undefined && { broken: stuck }) };
  } catch (error) {
    const silent =
      error instanceof GuestError &&
      ["refused", "no-banner", "handshake", "lost", "deadline"].includes(error.fault);
    if (!silent) {
      session?.close();
      throw error;
    }
    return { ...(session && { session }), broken: error.message };
  }
}

async function boot(place: GuestPlace, progress: Progress, name: string): Promise<void> {
  const step = progress.step(name);
  try {
    // What is left of a broken guest gets no time to shut down.
    await stopDomain(place.libvirtUri, place.domain, 0);
    await startDomain(place.libvirtUri, place.domain);
    // The record names the guest by the word that `vm wait` was given; keep to it, because a domain
    // known by another word would count as another guest with another host key.
    const record = await readGuestRecord(place.stackFolder);
    await waitForGuest(
      {
        stackFolder: place.stackFolder,
        address: place.address,
        consoleFile: place.consoleFile,
        domain: record?.domain ?? place.domain,
        libvirtUri: place.libvirtUri,
        deadlineMs: place.bootMs,
      },
      progress,
    );
  } catch (error) {
    step.failed();
    throw error;
  }
  step.done();
}
