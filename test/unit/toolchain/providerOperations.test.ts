import { describe, expect, it } from "vitest";
import { parseEvent, ProviderOperations } from "../../../toolchain/providerOperations.ts";

const second = 1000;
const limit = 10 * second;
const iso = "libvirt:index/volume:Volume";
const volume = "libvirt:index/volume:Volume";
const command = "command:local:Command";
const component = "vexlab:index:RootVolume";

type Kind = "resourcePreEvent" | "resOutputsEvent" | "resOpFailedEvent";

function event(kind: Kind, type: string, name: string, op = "create"): unknown {
  const urn = `urn:pulumi:ci::vexlab::${component}$${type}::${name}`;
  return { sequence: 1, timestamp: 2, [kind]: { metadata: { op, urn, type, provider: "" } } };
}

function taken(...events: readonly (readonly [atSeconds: number, event: unknown])[]) {
  const operations = new ProviderOperations(0);
  for (const [at, each] of events) operations.take(each, at * second);
  return operations;
}

describe("what the libvirt provider should have done", () => {
  it("is the operation that began first and has taken too long", () => {
    const operations = taken(
      [1, event("resourcePreEvent", volume, "root-overlay")],
      [2, event("resourcePreEvent", iso, "cloud-init-iso")],
    );
    expect(operations.overdue(10.9 * second, limit)).toBeUndefined();
    expect(operations.overdue(11 * second, limit)).toBe("create of root-overlay within 10 s");
    operations.take(event("resOutputsEvent", volume, "root-overlay"), 11 * second);
    expect(operations.overdue(11.5 * second, limit)).toBeUndefined();
    expect(operations.overdue(12 * second, limit)).toBe("create of cloud-init-iso within 10 s");
  });

  it("is nothing once the operation failed, or ended as another one", () => {
    const operations = taken(
      [1, event("resourcePreEvent", iso, "cloud-init-iso", "refresh")],
      [1, event("resourcePreEvent", volume, "root-overlay")],
      [2, event("resOutputsEvent", iso, "cloud-init-iso", "update")],
      [2, event("resOpFailedEvent", volume, "root-overlay")],
      [3, event("resourcePreEvent", command, "test-run")],
    );
    expect(operations.overdue(1000 * second, limit)).toBeUndefined();
  });

  it("is not what a command does, however long, but what is begun beside it", () => {
    const operations = taken([1, event("resourcePreEvent", command, "image-build")]);
    expect(operations.overdue(1000 * second, limit)).toBeUndefined();
    operations.take(event("resourcePreEvent", "pulumi:providers:libvirt", "hypervisor"), 0);
    expect(operations.overdue(limit, limit)).toBe("create of hypervisor within 10 s");
  });

  it("is anything at all when nothing is begun, since it checks what is about to begin", () => {
    const operations = taken(
      [1, event("resourcePreEvent", component, "root")],
      [2, event("resourcePreEvent", command, "folder-files")],
      [3, event("resOutputsEvent", command, "folder-files")],
    );
    expect(operations.overdue(12.9 * second, limit)).toBeUndefined();
    expect(operations.overdue(13 * second, limit)).toBe("what Pulumi waits for within 10 s");
  });

  it("is told from what is no event", () => {
    const operations = taken([5, parseEvent("{}")], [9, parseEvent('{"resourcePre')], [9, null]);
    expect(operations.overdue(15 * second, limit)).toBe("what Pulumi waits for within 10 s");
  });
});
