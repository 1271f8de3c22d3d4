import * as z from "zod";
import { allow } from "./allowed.ts";

/**
 * A stack's name as Pulumi allows it without an organisation. It names a folder, so it may not begin
 * with a dot or hold a slash.
 */
export const stackName = () =>
  allow(
    "letters, digits, - _ and ., not beginning with . or -",
    z.string().regex(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$/, "is not a stack's name"),
  );
