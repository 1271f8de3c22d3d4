import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    // Most unit tests wait for clocks and processes, so that more than processors make sense.
    maxWorkers: 4,
    projects: [
      {
        test: {
          name: "unit",
          include: ["test/unit/**/*.test.ts"],
          globalSetup: "test/support/temporaryFolder.ts",
          // Half of the processor time went into loading the same modules for each file.
          isolate: false,
          testTimeout: 10_000,
        },
      },
      {
        test: {
          name: "e2e",
          include: ["test/e2e/**/*.test.ts"],
          // Real guests share two cores: one file at a time, each case with a deadline of its own.
          fileParallelism: false,
          testTimeout: 10 * 60_000,
          hookTimeout: 20 * 60_000,
        },
      },
      {
        test: {
          // An hour and more: `npm run endurance`.
          name: "endurance",
          include: ["test/endurance/**/*.test.ts"],
          fileParallelism: false,
          hookTimeout: 20 * 60_000,
        },
      },
    ],
  },
});
