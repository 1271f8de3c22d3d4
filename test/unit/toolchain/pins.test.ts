import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import {
  architectureOf,
  commandPlugin,
  libvirtProvider,
  libvirtProviderAddress,
  pulumi,
  terraformBridge,
  tools,
  type Tool,
} from "../../../toolchain/pins.ts";

const read = (path: string): string =>
  readFileSync(new URL(`../../../${path}`, import.meta.url), "utf8");
const dependencies = (JSON.parse(read("package.json")) as { dependencies: Record<string, string> })
  .dependencies;

describe("the pins", () => {
  it("are those that Pulumi.yaml asks for", () => {
    const project = parse(read("Pulumi.yaml")) as { packages: Record<string, unknown> };
    expect(project.packages["libvirt"]).toEqual({
      source: terraformBridge.name,
      version: terraformBridge.version,
      parameters: [libvirtProviderAddress, libvirtProvider.version],
    });
  });

  it("agree with the npm packages", () => {
    expect(dependencies["@pulumi/pulumi"]).toBe(pulumi.version);
    expect(dependencies["@pulumi/command"]).toBe(commandPlugin.version);
  });

  it.each(tools.map((tool): [string, Tool] => [tool.name, tool]))(
    "of %s are the same in every source",
    (_, tool) => {
      for (const source of tool.sources) {
        if (source.kind === "download") {
          const addresses = ["x64", "arm64"].map((node) => {
            const architecture = architectureOf(node);
            return architecture ? source.url(architecture) : "";
          });
          expect(new Set(addresses).size).toBe(2);
          for (const address of addresses) expect(address).toContain(`v${tool.version}-linux-`);
        }
        if (source.kind === "go") {
          expect(Object.keys(source.packages)).toEqual(tool.programs);
          for (const version of Object.values(source.variables))
            expect(version).toBe(`v${tool.version}`);
        }
      }
    },
  );

  it.each(tools.flatMap((tool): Tool["sources"] => tool.sources).filter((s) => s.kind === "go"))(
    "name a Go release that the module in $folder allows",
    ({ folder, toolchain }) => {
      const wanted = /^go (\S+)$/m.exec(read(`toolchain/${folder}/go.mod`))?.[1];
      expect(toolchain).toBe(`go${wanted ?? "?"}`);
    },
  );
});
