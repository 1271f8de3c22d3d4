/** The example's build in the sysroot on the host, against the same in the guest (minutes). */
import { readFile } from "node:fs/promises";
import { execa } from "execa";
import type { Finding } from "./finding.ts";
import { say, stack, type Lab } from "./lab.ts";

const file = "examples/vexfs/kernel/super.c";

export async function build(lab: Lab): Promise<Finding[]> {
  const { checkout } = lab;
  await lab.up();
  const text = await checkout.read(file);
  const seconds = async (comment: string): Promise<number> => {
    await checkout.write(
      file,
      text.replace("MODULE_LICENSE", `/* bench: ${comment} */\nMODULE_LICENSE`),
    );
    await lab.vexlab("up", stack);
    const { stdout } = await execa("find", [
      ...[checkout.path(`.vexlab/builds/${stack}`), "-maxdepth", "2", "-name", "result.json"],
      ...["-printf", "%T@ %p\\n"],
    ]);
    const newest = stdout.split("\n").sort().at(-1)?.split(" ")[1] ?? "";
    return (JSON.parse(await readFile(newest, "utf8")) as { seconds: number }).seconds;
  };
  try {
    say("build on the host");
    const ours = [await seconds("host")];
    say("build in the guest");
    await checkout.configure(stack, { buildOn: "guest" });
    const theirs = [await seconds("guest")];
    return [{ what: "build on the host / in the guest", unit: "s", ours, theirs, goal: 0.1 }];
  } finally {
    await checkout.configure(stack, { buildOn: undefined });
    await checkout.write(file, text);
  }
}
