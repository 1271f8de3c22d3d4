import { fileURLToPath } from "node:url";
import { format, resolveConfig } from "prettier";
import { describe, expect, expectTypeOf, it } from "vitest";
import type * as z from "zod";
import { renderJson, reportFormat } from "../../../../lab/report/json.ts";
import { resultJsonSchema, resultSchema } from "../../../../lab/report/resultSchema.ts";
import type { RunReport } from "../../../../lab/run/verdict.ts";
import { crashed, measured, mixed, notLoaded } from "./report.ts";

type Deep<T> = T extends object ? { readonly [Key in keyof T]: Deep<T[Key]> } : T;

describe("the schema of result.json", () => {
  it("is what docs/result.schema.json says; `npx vitest -u` renews the file", async () => {
    const file = fileURLToPath(new URL("../../../../docs/result.schema.json", import.meta.url));
    const style = { ...(await resolveConfig(file)), filepath: file };
    const text = await format(JSON.stringify(resultJsonSchema(), null, 2), style);
    await expect(text).toMatchFileSnapshot(file);
  });

  it("has the fields of a report, and no others", () => {
    expectTypeOf<Deep<Omit<z.output<typeof resultSchema>, "format">>>().toEqualTypeOf<
      Deep<RunReport>
    >();
  });

  it.each([
    ["mixed", mixed],
    ["crashed", crashed],
    ["load-failed", notLoaded],
    ["measured", measured],
  ])("holds for a %s report as it is written", (_, report) => {
    const written: unknown = JSON.parse(renderJson(report));
    expect(resultSchema.parse(written)).toEqual(written);
  });

  it("has no control character as such, and loses none", () => {
    const reason = "\u001b[2J \u009b2J \u007f é";
    const text = renderJson({ ...mixed, reason });
    expect(text.replaceAll("\n", "")).not.toMatch(/\p{Cc}/u);
    expect(JSON.parse(text)).toHaveProperty("reason", reason);
  });

  it.each([
    ["an unknown field", { ...mixed, colour: "red" }],
    ["an unknown verdict", { ...mixed, verdict: "perhaps" }],
    ["no suites", { ...mixed, suites: undefined }],
    ["a seed below zero", { ...mixed, seed: -1 }],
  ])("refuses %s", (_, report) => {
    expect(resultSchema.safeParse({ format: reportFormat, ...report }).success).toBe(false);
  });
});
