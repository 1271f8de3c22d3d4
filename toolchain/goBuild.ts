/**
 * Builds programs from pinned Go modules. What is compiled is fixed by go.mod and go.sum, which the
 * build may not change; Go's own caches make a second build cheap.
 */
import { mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { execa } from "execa";
import { ExitCode, LabError } from "../lab/config/errors.ts";
import type { GoSource } from "./pins.ts";

/** The first Go release that fetches another one by itself (GOTOOLCHAIN). */
const oldestGo = { major: 1, minor: 21 } as const;

/** Major and minor number in what `go version` prints; undefined when it isn't a release of Go. */
export function goRelease(printed: string): { major: number; minor: number } | undefined {
  const match = /\bgo(\d+)\.(\d+)/.exec(printed);
  if (!match) return undefined;
  return { major: Number(match[1]), minor: Number(match[2]) };
}

/** Why `go` can't build here; undefined when it can. */
export async function goProblem(
  environment: NodeJS.ProcessEnv = process.env,
): Promise<string | undefined> {
  const wanted = `Go ${oldestGo.major}.${oldestGo.minor} or newer`;
  // GOTOOLCHAIN=local: the version of what is installed, without fetching another.
  const result = await execa("go", ["version"], {
    env: { ...environment, GOTOOLCHAIN: "local" },
    extendEnv: false,
    cwd: "/",
    reject: false,
  });
  if (result.exitCode === undefined) return `the command \`go\` (${wanted}) is not installed`;
  const release = goRelease(result.stdout);
  if (!release) return `\`go version\` says ${JSON.stringify(result.stdout || result.stderr)}`;
  const newEnough =
    release.major > oldestGo.major ||
    (release.major === oldestGo.major && release.minor >= oldestGo.minor);
  return newEnough ? undefined : `${wanted} is needed, ${result.stdout.trim()} is installed`;
}

/**
 * The environment of a build: the user's, so that proxies and module mirrors hold, without what
 * would change the outcome.
 */
export function buildEnvironment(
  source: GoSource,
  environment: NodeJS.ProcessEnv = process.env,
): NodeJS.ProcessEnv {
  return {
    ...environment,
    GOTOOLCHAIN: source.toolchain,
    GOFLAGS: "-mod=readonly",
    GOWORK: "off",
    GO111MODULE: "on",
    GOOS: "",
    GOARCH: "",
    // As the official builds: programs that need no C library.
    CGO_ENABLED: "0",
  };
}

/** The arguments of `go` that build one program. */
export function buildArguments(source: GoSource, program: string, output: string): string[] {
  const variables = Object.entries(source.variables).map(([name, value]) => `-X ${name}=${value}`);
  const importPath = source.packages[program];
  if (importPath === undefined) throw new Error(`the pins name no Go package for ${program}`);
  return [
    "build",
    "-trimpath",
    "-buildvcs=false",
    "-ldflags",
    ["-s", "-w", ...variables].join(" "),
    "-o",
    output,
    importPath,
  ];
}

/**
 * Builds all programs of a source; each appears in `destination` under its own name, only when all
 * are built.
 *
 * @param modules the folder that holds the source's module folder
 * @throws LabError (exit 3) with the end of Go's output
 */
export async function goBuild(
  source: GoSource,
  modules: string,
  destination: string,
  line: (text: string) => void,
  environment: NodeJS.ProcessEnv = process.env,
): Promise<void> {
  const problem = await goProblem(environment);
  if (problem) {
    throw new LabError(
      `${source.folder} has to be built here, and ${problem}`,
      ExitCode.infrastructureFailed,
      "Install Go (https://go.dev/dl), or make the official download reachable, and run again.",
    );
  }
  await mkdir(dirname(destination), { recursive: true });
  const temporary = await mkdtemp(`${destination}.`);
  try {
    for (const program of Object.keys(source.packages)) {
      const child = execa("go", buildArguments(source, program, join(temporary, program)), {
        cwd: join(modules, source.folder),
        env: buildEnvironment(source, environment),
        extendEnv: false,
        stdin: "ignore",
        stdout: "ignore",
        stderr: "pipe",
        reject: false,
      });
      child.stderr.on("data", (chunk: Buffer) => {
        for (const text of chunk.toString().split("\n")) {
          const release = /^go: downloading (go\S+)/.exec(text);
          if (release) line(`fetching ${release[1] ?? ""}`);
        }
      });
      const result = await child;
      if (result.exitCode !== 0) {
        const end = result.stderr.trim().split("\n").slice(-15).join("\n");
        throw new LabError(
          `go build of ${program} failed:\n${end || result.shortMessage}`,
          ExitCode.infrastructureFailed,
          "Check that Go's module proxy (`go env GOPROXY`) can be reached, and run again.",
        );
      }
    }
    await rm(destination, { recursive: true, force: true });
    await rename(temporary, destination);
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}
