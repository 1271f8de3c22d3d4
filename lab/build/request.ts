/** What a build is asked for, and what is known of it while it is under way. */
import type { Manifest } from "../config/manifest.ts";
import type { Places } from "../config/places.ts";
import type { BuiltImage } from "../image/image.ts";
import type { Progress } from "../report/progress.ts";
import type { Builder } from "./builder.ts";

export interface BuildRequest {
  readonly stack: string;
  /** The user's source folder; it is only read. */
  readonly source: string;
  /** The kernel is the image's, or, for a build in a guest, the one that runs there. */
  readonly image: Pick<BuiltImage, "id" | "kernelRelease" | "kernelPackage">;
  readonly builder: Builder;
  /** The suites that will run: tools that none of them needs are not built. All when undefined. */
  readonly suites?: readonly string[];
  /** Build even what is built, and from nothing. */
  readonly clean?: boolean;
}

export interface BuildContext {
  readonly progress: Progress;
  readonly signal?: AbortSignal;
  readonly places?: Places;
}

/** A build under way: what is asked for, and what the copy of the sources says. */
export interface Build extends BuildRequest {
  readonly manifest: Manifest;
  /** What of it is built: perhaps not all of its tools. */
  readonly wanted: Manifest;
  readonly sourceHash: string;
  /** Holds `tree`, the copy, and what becomes the result beside it. */
  readonly work: string;
  /** What the result's folder will be called. */
  readonly folder: string;
}
