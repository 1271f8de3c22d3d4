import { expect, it } from "vitest";
import { afterLine, describeMake, notBegun } from "../../../../lab/kernel/makeProgress.ts";

it("counts what is compiled and names what comes last", () => {
  const lines = [
    "  HOSTCC  scripts/basic/fixdep",
    "  SYNC    include/config/auto.conf.cmd",
    "  CC      fs/ext4/inode.o",
    "fs/ext4/inode.c:1: warning: something",
    "  CC [M]  drivers/md/dm-dust.o",
    "  LD [M]  drivers/md/dm-dust.ko",
    "make[2]: Entering directory",
  ];
  const state = lines.reduce(afterLine, notBegun);
  expect(describeMake(state)).toBe("3 files compiled, now LD [M] drivers/md/dm-dust.ko");
  expect(describeMake(notBegun)).toBe("make has not said anything yet");
});
