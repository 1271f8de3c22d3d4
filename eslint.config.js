import js from "@eslint/js";
import tseslint from "typescript-eslint";

// The folders are the architecture: imports go downwards only (docs/architecture.md).
const noPulumi = {
  group: ["@pulumi/*", "**/components/*", "**/matrix/*"],
  message: "lab/ and cli/ know nothing of Pulumi.",
};
const noUpwards = { group: ["**/cli/*", "**/index.ts"], message: "Imports go downwards only." };

export default tseslint.config(
  { ignores: ["node_modules", "sdks", ".vexlab", "test_results"] },
  js.configs.recommended,
  ...tseslint.configs.strictTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: true } },
    rules: {
      "@typescript-eslint/restrict-template-expressions": [
        "error",
        { allowNumber: true, allowBoolean: true },
      ],
      "@typescript-eslint/no-confusing-void-expression": ["error", { ignoreArrowShorthand: true }],
      "no-restricted-syntax": [
        "error",
        {
          selector: "CallExpression[callee.name='exec']",
          message: "No shell strings: use execa with a list.",
        },
        {
          selector: "ImportDeclaration[source.value='zod'] > ImportSpecifier[imported.name='z']",
          message: "import * as z: the bundle then leaves out what isn't used, two thirds of zod.",
        },
      ],
    },
  },
  {
    files: ["lab/**/*.ts"],
    rules: { "no-restricted-imports": ["error", { patterns: [noPulumi, noUpwards] }] },
  },
  {
    files: ["components/**/*.ts", "matrix/**/*.ts"],
    rules: { "no-restricted-imports": ["error", { patterns: [noUpwards] }] },
  },
  { files: ["**/*.js"], ...tseslint.configs.disableTypeChecked },
);
