import fc from "fast-check";
import { expect, it } from "vitest";
import { firstError } from "../../../../lab/build/firstError.ts";
import { anyCharacter } from "../../anyCharacter.ts";

const mount = "/mnt/vexlab-build/";

it.each([
  [
    "gcc",
    [
      "make: Entering directory '/usr/src/linux-headers-6.1.0-56-amd64'",
      `  CC [M]  ${mount}kernel/hello.o`,
      `${mount}kernel/hello.c: In function 'hello_init':`,
      `${mount}kernel/hello.c:3:5: error: 'y' undeclared (first use in this function)`,
      `${mount}kernel/hello.c:4:5: error: another`,
      "make[1]: *** [scripts/Makefile.build:250: hello.o] Error 1",
      "make: *** [Makefile:2013: /mnt/vexlab-build/kernel] Error 2",
    ],
    "kernel/hello.c:3:5: error: 'y' undeclared (first use in this function)",
  ],
  [
    "a missing header",
    [`${mount}a.c:1:10: fatal error: nope.h: No such file or directory`, "compilation terminated."],
    "a.c:1:10: fatal error: nope.h: No such file or directory",
  ],
  [
    "a header's macro that a source uses",
    [
      "/usr/src/linux-headers-7.3/include/uapi/linux/ioprio.h:123:9: error: passing argument 5",
      "  123 |         ioprio_value(prioclass, priolevel, IOPRIO_HINT_NONE)",
      "/usr/src/linux-headers-7.3/include/linux/ioprio.h:14:25: note: in expansion of macro ‘A’",
      `${mount}target.c:35:69: note: in expansion of macro ‘IOPRIO_DEFAULT’`,
      `${mount}target.c:67:19: note: in expansion of macro ‘DM_IO’`,
      "/usr/src/linux-headers-7.3/include/linux/dm-io.h:80:1: note: expected ‘void *’",
      `${mount}target.c:99:1: note: in expansion of macro ‘OTHER’`,
    ],
    "target.c:67:19: error: passing argument 5",
  ],
  [
    "a header that no source leads to",
    ["/usr/src/linux-headers-7.3/include/a.h:1:2: error: broken", "/usr/src/b.h:2:3: error: more"],
    "/usr/src/linux-headers-7.3/include/a.h:1:2: error: broken",
  ],
  [
    "rustc",
    [
      "   Compiling vexctl v0.1.0",
      "error[E0425]: cannot find value `x` in this scope",
      "  --> src/main.rs:2:5",
      "error: could not compile `vexctl` due to previous error",
    ],
    "src/main.rs:2:5: error[E0425]: cannot find value `x` in this scope",
  ],
  [
    "cargo without network",
    ["error: no matching package named `libc` found", "location searched: registry"],
    "error: no matching package named `libc` found",
  ],
  [
    "modpost",
    [
      "  MODPOST Module.symvers",
      'ERROR: modpost: "nope" [x.ko] undefined!',
      "make: *** [a] Error 2",
    ],
    'ERROR: modpost: "nope" [x.ko] undefined!',
  ],
  [
    "make without a rule",
    ["make[2]: *** [x] Error 1", "make[1]: *** No rule to make target 'hello.o'.  Stop."],
    "make[1]: *** No rule to make target 'hello.o'.  Stop.",
  ],
  [
    "make's own last line when there is nothing better",
    ["false", "make: *** [Makefile:1: all] Error 1"],
    "make: *** [Makefile:1: all] Error 1",
  ],
  [
    "a missing program",
    ["env: ‘nope’: No such file or directory"],
    "env: ‘nope’: No such file or directory",
  ],
])("%s", (_what, lines, expected) => {
  expect(firstError(lines.join("\n"), mount)).toBe(expected);
});

it("says nothing for no output", () => expect(firstError("\n \n")).toBeUndefined());

it("gives one short line for any output", () => {
  fc.assert(
    fc.property(fc.string({ unit: anyCharacter, maxLength: 300 }), (text) => {
      const line = firstError(text);
      expect(line ?? "").not.toMatch(/\n/);
      expect((line ?? "").length).toBeLessThanOrEqual(300);
    }),
  );
});
