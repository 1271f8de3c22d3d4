/** What uname(2) has room for. */
const longest = 64;

/**
 * The release that a guest's kernel tells, as far as it is one. It is shown in terminals and reports,
 * and a kernel may say anything.
 */
export function kernelReleaseIn(text: string): string {
  return text
    .trim()
    .slice(0, longest)
    .replace(/[^\w.+~:-]/g, "?");
}
