import { execFile, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

import grpc from "@grpc/grpc-js";
import providerService from "@pulumi/pulumi/proto/provider_grpc_pb.js";
import messages from "@pulumi/pulumi/proto/provider_pb.js";
import empty from "google-protobuf/google/protobuf/empty_pb.js";
import struct from "google-protobuf/google/protobuf/struct_pb.js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { installStandIn } from "../../../../toolchain/command-plugin/install.ts";
import type { Properties } from "../../../../toolchain/command-plugin/propertyValue.ts";

let home: string;
let plugin: string;
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), "vexlab-home-"));
  plugin = join(home, "plugins/resource-command-v1.2.1/pulumi-resource-command");
  await installStandIn(home, "1.2.1");
});
afterAll(() => rm(home, { recursive: true, force: true }));

describe("installStandIn", () => {
  it("leaves only the plugin, and leaves one that is the same alone", async () => {
    expect(await readdir(join(home, "plugins"))).toEqual(["resource-command-v1.2.1"]);
    const { ino } = await stat(plugin);
    await installStandIn(home, "v1.2.1");
    expect((await stat(plugin)).ino).toBe(ino);
  });

  it("replaces one that is damaged or was cut short", async () => {
    const other = await mkdtemp(join(tmpdir(), "vexlab-home-"));
    const folder = join(other, "plugins/resource-command-v1.2.1");
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, "plugin.cjs"), "damaged");
    await writeFile(`${folder}.partial`, "");
    await installStandIn(other, "1.2.1");
    expect(await readdir(join(other, "plugins"))).toEqual(["resource-command-v1.2.1"]);
    const bundle = (root: string) =>
      readFile(join(root, "plugins/resource-command-v1.2.1/plugin.cjs"), "utf8");
    expect(await bundle(other)).toBe(await bundle(home));
    await rm(other, { recursive: true });
  });

  it("says what it is when it is started without an engine", async () => {
    await expect(promisify(execFile)(plugin)).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringContaining("stand-in for pulumi-resource-command 1.2.1") as string,
    });
  });
});

describe("the installed plugin's engine", () => {
  it("is missed when it is killed", async () => {
    const shell = spawn("/bin/sh", ["-c", '"$0" 127.0.0.1:9 & echo "pid $!"; wait', plugin], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let printed = "";
    shell.stdout.on("data", (chunk: Buffer) => (printed += chunk.toString()));
    await expect.poll(() => printed, { timeout: 8000 }).toMatch(/pid \d+\n\d+\n/);
    const pid = /pid (\d+)/.exec(printed)?.[1] ?? "";
    shell.kill("SIGKILL");
    await expect.poll(() => existsSync(`/proc/${pid}`), { timeout: 5000 }).toBe(false);
  });
});

describe("the installed plugin", () => {
  const urn = "urn:pulumi:s::p::my:index:Parent$command:local:Command::cmd";
  let started: ChildProcess;
  let client: InstanceType<typeof providerService.ResourceProviderClient>;

  beforeAll(async () => {
    started = spawn(plugin, ["127.0.0.1:9"], { stdio: ["ignore", "pipe", "inherit"] });
    const [line] = (await once(started.stdout ?? started, "data")) as [Buffer];
    client = new providerService.ResourceProviderClient(
      `127.0.0.1:${line.toString().trim()}`,
      grpc.credentials.createInsecure(),
      { "grpc.max_receive_message_length": -1 },
    );
  });
  afterAll(() => {
    client.close();
    started.kill();
  });

  const create = (type: string, inputs: Properties, timeout = 0) =>
    new Promise<Properties>((resolve, reject) =>
      client.create(
        new messages.CreateRequest()
          .setUrn(type)
          .setProperties(struct.Struct.fromJavaScript(inputs))
          .setTimeout(timeout),
        (error, response) =>
          error
            ? reject(error)
            : resolve({ ...response.getProperties()?.toJavaScript(), id: response.getId() }),
      ),
    );

  it("tells the version that it stands in for", async () => {
    const info = await new Promise((resolve, reject) =>
      client.getPluginInfo(new empty.Empty(), (error, response) =>
        error ? reject(error) : resolve(response.getVersion()),
      ),
    );
    expect(info).toBe("1.2.1");
  });

  it("runs a command though the engine's log can't be reached", async () => {
    const outputs = await create(urn, { create: "echo a" });
    expect(outputs).toMatchObject({ create: "echo a", stdout: "a", stderr: "" });
    expect(outputs["id"]).toMatch(/^cmd[0-9a-f]{8}$/);
  });

  it("carries 10 MB of output, and a failure with as much", async () => {
    const print = "head -c 10000000 /dev/zero | tr '\\0' x";
    const outputs = await create(urn, { create: print, logging: "none" });
    expect(outputs["stdout"]).toHaveLength(10_000_000);
    const failed = create(urn, { create: `${print}; echo end; exit 1`, logging: "none" });
    await expect(failed).rejects.toThrow(
      /exit status 1: running .*\n\(the first 99\d{5} characters/,
    );
  }, 60_000);

  it("ends a command after its timeout", async () => {
    await expect(create(urn, { create: "sleep 60" }, 0.2)).rejects.toThrow("signal: terminated");
  });

  it("says of remote resources that it doesn't do them", async () => {
    const remote = "urn:pulumi:s::p::command:remote:Command::cmd";
    await expect(create(remote, {})).rejects.toThrow("needs the official command plugin");
  });

  it("takes its commands with it when it is killed", async () => {
    const file = join(home, "pid");
    const outcome = create(urn, { create: `echo $$ > ${file}; sleep 600` }).catch(
      (error: unknown) => error,
    );
    await expect
      .poll(() => readFile(file, "utf8").catch(() => ""), { timeout: 5000 })
      .toMatch(/\d/);
    const pid = Number(await readFile(file, "utf8"));
    started.kill("SIGKILL");
    expect(await outcome).toBeInstanceOf(Error);
    await expect
      .poll(() => readFile(`/proc/${pid}/stat`, "utf8").catch(() => "gone"), { timeout: 5000 })
      .toBe("gone");
  });
});
