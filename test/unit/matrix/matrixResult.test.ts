import { fileURLToPath } from "node:url";
import { format, resolveConfig } from "prettier";
import { describe, expect, it } from "vitest";
import { matrixJsonSchema, matrixResultSchema } from "../../../matrix/matrixResult.ts";
import { cellResult, matrixOutcome } from "./outcomes.ts";

describe("the schema of matrix.json", () => {
  it("is what docs/matrix.schema.json says; `npx vitest -u` renews the file", async () => {
    const file = fileURLToPath(new URL("../../../docs/matrix.schema.json", import.meta.url));
    const style = { ...(await resolveConfig(file)), filepath: file };
    const text = await format(JSON.stringify(matrixJsonSchema(), null, 2), style);
    await expect(text).toMatchFileSnapshot(file);
  });

  it("holds for a matrix as it is written", () => {
    const { result } = matrixOutcome([
      { result: cellResult("a", "passed", { kept: true, retried: "lost" }) },
      { result: cellResult("b", "build-failed") },
    ]);
    const written: unknown = JSON.parse(JSON.stringify(result));
    expect(matrixResultSchema.parse(written)).toEqual(written);
  });
});
