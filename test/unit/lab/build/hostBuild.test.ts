import { execa } from "execa";
import { expect, it } from "vitest";
import { sandboxArguments } from "../../../../lab/build/hostBuild.ts";
import { buildSteps } from "../../../../lab/build/steps.ts";
import { parseManifest } from "../../../../lab/config/manifest.ts";

const manifest = parseManifest(`
name: hello
module: {folder: kernel, make: [W=1, "A=$(x) y"], artefacts: [hello.ko]}
tools: [{name: hi, folder: rust, command: [cargo, build, --offline], artefacts: [hi]}]
`);

it("the steps are Kbuild's out-of-tree build, then the tools", () => {
  expect(buildSteps(manifest, "6.1.0-1-amd64", 2)).toMatchInlineSnapshot(`
    [
      {
        "argv": [
          "make",
          "-C",
          "/lib/modules/6.1.0-1-amd64/build",
          "M=/mnt/vexlab-build/kernel",
          "-j2",
          "W=1",
          "A=$(x) y",
          "modules",
        ],
        "failsCleanly": true,
        "folder": "/mnt/vexlab-build/kernel",
        "name": "module",
      },
      {
        "argv": [
          "cargo",
          "build",
          "--offline",
        ],
        "failsCleanly": true,
        "folder": "/mnt/vexlab-build/rust",
        "name": "hi",
      },
    ]
  `);
});

it("the sandbox has the sysroot, the copy, and nothing else of the host", () => {
  const [, tool] = buildSteps(manifest, "6.1.0-1-amd64", 2);
  if (tool === undefined) throw new Error("no tool");
  expect(
    sandboxArguments("/images/a/sysroot", "/state/copy", tool, 0).join(" "),
  ).toMatchInlineSnapshot(
    `"--ro-bind /images/a/sysroot / --dev /dev --proc /proc --tmpfs /tmp --dir /tmp/vexlab-home --tmpfs /mnt --bind /state/copy /mnt/vexlab-build --unshare-all --hostname vexlab-build --new-session --die-with-parent --clearenv --setenv PATH /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin --setenv HOME /tmp/vexlab-home --setenv TMPDIR /tmp --setenv LANG C.UTF-8 --setenv CARGO_HOME /tmp/vexlab-home/.cargo --setenv CARGO_NET_OFFLINE true --setenv CARGO_TERM_COLOR never --setenv CARGO_INCREMENTAL 0 --chdir /mnt/vexlab-build/rust -- cargo build --offline"`,
  );
});

it("a low priority holds in the sandbox's own session as well, with the words as they are", async () => {
  const [, tool] = buildSteps(manifest, "6.1.0-1-amd64", 2);
  if (tool === undefined) throw new Error("no tool");
  const script = 'nice; cat /proc/self/autogroup 2>/dev/null; printf "%s\n" "$@"';
  const step = {
    ...tool,
    folder: "/",
    argv: ["/bin/sh", "-c", script, "sh", "two words", "$HOME"],
  };
  const argv = sandboxArguments("/", "/tmp", step, 7);
  const { stdout } = await execa("nice", ["-n", "7", "bwrap", ...argv]);
  const [nice, ...rest] = stdout.split("\n");
  const group = rest.length > 2 ? rest.shift() : undefined;
  expect(nice).toBe("7");
  if (group !== undefined) expect(group).toMatch(/ nice 7$/);
  expect(rest).toEqual(["two words", "$HOME"]);
});
