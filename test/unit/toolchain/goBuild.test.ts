import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ExitCode } from "../../../lab/config/errors.ts";
import {
  buildArguments,
  buildEnvironment,
  goBuild,
  goRelease,
} from "../../../toolchain/goBuild.ts";
import type { GoSource } from "../../../toolchain/pins.ts";

const source: GoSource = {
  kind: "go",
  folder: "module",
  toolchain: "go1.25.5",
  packages: { one: "example.invalid/one", two: "example.invalid/two" },
  variables: { "example.invalid/version.Version": "v1.2.3" },
};

let folder: string;
let path: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "vexlab-go-"));
  path = join(folder, "path");
  await mkdir(join(folder, "module"));
  await mkdir(path);
});

afterEach(async () => rm(folder, { recursive: true }));

/** A `go` that answers `version`, and writes its arguments and toolchain as what it builds. */
async function fakeGo(version: string, build: string): Promise<NodeJS.ProcessEnv> {
  const script = `#!/bin/sh
if [ "$1" = version ]; then echo "go version ${version} linux/amd64"; exit; fi
${build}
`;
  await writeFile(join(path, "go"), script);
  await chmod(join(path, "go"), 0o755);
  return { PATH: `${path}:/usr/bin:/bin`, GOFLAGS: "-mod=mod", HOME: folder };
}

const writes = `while [ "$1" != -o ]; do shift; done; echo "$GOTOOLCHAIN $GOFLAGS $PWD $3" > "$2"`;
const nothing = (): undefined => undefined;

describe("a build", () => {
  it("gives all programs their names when all are built", async () => {
    const environment = await fakeGo("go1.26.1", writes);
    await goBuild(source, folder, join(folder, "out"), nothing, environment);
    expect((await readdir(join(folder, "out"))).sort()).toEqual(["one", "two"]);
    expect((await readFile(join(folder, "out", "two"), "utf8")).trim()).toBe(
      `go1.25.5 -mod=readonly ${join(folder, "module")} example.invalid/two`,
    );
  });

  it("leaves nothing when one fails, and shows what Go said", async () => {
    const build = `case "$*" in *two) echo 'two.go:1: broken' >&2; exit 1;; esac; ${writes}`;
    const environment = await fakeGo("go1.26.1", build);
    const failure = goBuild(source, folder, join(folder, "out"), nothing, environment);
    await expect(failure).rejects.toMatchObject({
      exitCode: ExitCode.infrastructureFailed,
      message: expect.stringContaining("two.go:1: broken") as string,
    });
    expect((await readdir(folder)).sort()).toEqual(["module", "path"]);
  });

  it("says that Go is missing", async () => {
    const failure = goBuild(source, folder, join(folder, "out"), nothing, { PATH: path });
    await expect(failure).rejects.toThrow(/`go` \(Go 1\.21 or newer\) is not installed/);
  });

  it("says that Go is too old", async () => {
    const environment = await fakeGo("go1.19.8", writes);
    const failure = goBuild(source, folder, join(folder, "out"), nothing, environment);
    await expect(failure).rejects.toThrow(/1\.21 or newer is needed, go version go1\.19\.8/);
  });
});

it("can't be changed by the user's Go settings", () => {
  const environment = buildEnvironment(source, {
    GOFLAGS: "-mod=mod",
    GOWORK: "/elsewhere/go.work",
    GOOS: "plan9",
    GOPROXY: "https://proxy.invalid",
  });
  expect(environment).toMatchObject({ GOFLAGS: "-mod=readonly", GOWORK: "off", GOOS: "" });
  expect(environment["GOPROXY"]).toBe("https://proxy.invalid");
});

it("tells the program its version", () => {
  const args = buildArguments(source, "one", "/out/one");
  expect(args[args.indexOf("-ldflags") + 1]).toBe(
    "-s -w -X example.invalid/version.Version=v1.2.3",
  );
  expect(args.at(-1)).toBe("example.invalid/one");
});

it.each([
  ["go version go1.26.8 linux/amd64", { major: 1, minor: 26 }],
  ["go version go1.21rc2 linux/amd64", { major: 1, minor: 21 }],
  ["go version devel +abc linux/amd64", undefined],
])("reads %j", (printed, release) => {
  expect(goRelease(printed)).toEqual(release);
});
