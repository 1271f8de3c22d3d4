import { expect, it } from "vitest";
import { OutputTail } from "../../../../lab/build/outputTail.ts";

it("a build that prints for ever fills neither the log nor the memory; both ends are kept", () => {
  let passed = 0;
  let last = "";
  const output = new OutputTail((text) => {
    passed += text.length;
    last = text;
  });
  const mebibyte = `${"x".repeat(1023)}\n`.repeat(1024);
  output.add("first error\n");
  for (let count = 0; count < 100; count++) output.add(mebibyte);
  output.add("last words\n");
  expect(passed).toBeLessThan(66 * 2 ** 20);
  expect(last).toMatch(/\[the rest of the output is not kept\]\n$/);
  expect(output.text.length).toBeLessThan(1.1 * 2 ** 20);
  expect(output.text).toMatch(/^first error\n[^]*last words\n$/);
});
