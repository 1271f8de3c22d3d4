/**
 * The keys of a stack's configuration (`vexlab:…` in stacks/Pulumi.<stack>.yaml): what each takes,
 * means and is when it isn't set. docs/configuration.md is made of this.
 *
 * Pulumi hands every value over as text, so each schema reads text.
 */
import * as z from "zod";
import { allow } from "./allowed.ts";
import { formatSize, parseSize, sizeForm } from "./quantity.ts";
import { kernelConfigForm, kernelConfigWords } from "./customKernel.ts";
import { panicModes } from "./panicMode.ts";
import { addressForm, cloudImageNames, isCloudImage } from "./cloudImages.ts";
import { digestForm } from "./digest.ts";
import { kernelForms } from "./kernelChoice.ts";
import { imageNames } from "./recipes.ts";

/** What a configuration is checked against. */
export interface Host {
  readonly cpus: number;
  readonly memoryMiB: number;
  /** Relative paths are relative to it. */
  readonly checkout: string;
}

const gibibyte = 1024;

/** MiB of a size between two limits. */
const size = (least: number, most: number) => {
  const range = `from ${formatSize(least)} to ${formatSize(most)}`;
  return allow(
    `${sizeForm}, ${range}`,
    z.string().transform((text, context) => {
      const mib = parseSize(text);
      if (mib !== undefined && mib >= least && mib <= most) return mib;
      const bare = /^\d+$/.test(text);
      const what = mib !== undefined ? `is not ${range}` : bare ? "has no unit" : "is not a size";
      context.addIssue({ code: "custom", message: what });
      return z.NEVER;
    }),
  );
};

const whole = (least: number, most: number, what: string) =>
  z.string().transform((text, context) => {
    const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= least && value <= most) return value;
    context.addIssue({ code: "custom", message: `is not ${what}` });
    return z.NEVER;
  });

const port = () => whole(1024, 65535, "an unprivileged port");

const oneOf = <const Choices extends readonly [string, ...string[]]>(...choices: Choices) =>
  allow(choices.join(" or "), z.enum(choices, { error: "is not one of them" }));

const text = (allowed: string) =>
  allow(
    allowed,
    z.string().refine((value) => value.trim() !== "" && !value.includes("\0"), "is empty"),
  );

// libvirt's URIs (https://libvirt.org/uri.html) that vexlab can serve: QEMU here, or over SSH.
const libvirtUri =
  /^qemu:\/\/\/(session|system)(\?socket=\/[^\s&]+)?$|^qemu\+ssh:\/\/[^\s/]+\/(session|system)(\?\S*)?$/;

/** What vexlab itself sets, and what would keep the kernel's words from it. */
const ownParameters = [
  ...["root", "rw", "ro", "console", "init", "rdinit", "nokaslr"],
  ...["quiet", "loglevel", "panic"],
];

function parameterProblem(word: string): string | undefined {
  if (!/^[!#-&(-~]+$/.test(word)) return `has a word with a quote or no printable ASCII: ${word}`;
  const [name = ""] = word.split("=");
  if (ownParameters.includes(name)) return `has ${name}, which is vexlab's to set`;
  return word === "--" ? "has --, after which words are init's" : undefined;
}

/** One key a line: the order of docs/configuration.md. */
export const stackSchema = z.strictObject({
  image: allow(
    `${[...imageNames, ...cloudImageNames].join(" or ")}; or ${addressForm}`,
    z.string(),
  ).describe(
    "The image the guest boots: one that vexlab builds, or one that is downloaded (docs/images.md).",
  ),
  imageVersion: allow("a build's number", z.string().optional()).describe(
    "Which build of a distribution's image is downloaded.",
  ),
  imageDigest: allow(digestForm, z.string().optional()).describe(
    "What a downloaded image is checked by.",
  ),
  imageKeyring: allow(
    "the path of a keyring (binary, as gpgv reads it)",
    z.string().min(1, "is empty").optional(),
  ).describe("Or: keys of which one has signed the SHA256SUMS beside the image (SHA256SUMS.gpg)."),
  allowUnverified: allow(
    "true or false",
    z.enum(["true", "false"], { error: "is neither" }).transform((value) => value === "true"),
  ).describe("Whether an image may be booted that nothing was checked by."),
  firmware: oneOf("bios", "uefi").describe("What starts the boot loader of a downloaded image."),
  kernel: allow(kernelForms, z.string().optional()).describe(
    "The guest's kernel, of those that the image's distribution has: `vexlab kernels` lists them ([kernels.md](kernels.md)).",
  ),
  kernelConfig: allow(
    kernelConfigForm,
    z
      .string()
      .transform((value, context) => {
        const words = kernelConfigWords(value);
        if (words === undefined)
          context.addIssue({ code: "custom", message: "is no list of words" });
        return words ?? z.NEVER;
      })
      .optional(),
  ).describe(
    "A kernel made of the distribution's sources with these options instead of the distribution's own: [custom-kernels.md](custom-kernels.md).",
  ),
  kernelTree: text("a built kernel tree, absolute or relative to the checkout")
    .optional()
    .describe(
      "A kernel of yours instead of the image's: the folder in which it was built: [custom-kernels.md](custom-kernels.md).",
    ),
  memory: size(512, 1024 * gibibyte).describe("Memory of the guest."),
  cpus: allow("a whole number from 1 to 64", whole(1, 64, "a number of CPUs")).describe(
    "Virtual CPUs of the guest.",
  ),
  sshPort: allow("a port from 1024 to 65535", port()).describe(
    "Port of 127.0.0.1 that leads to the guest's SSH. Stacks that run side by side need their own.",
  ),
  diskSize: size(4 * gibibyte, 2048 * gibibyte).describe(
    "Size of the root volume as the guest sees it; it takes space as it is written.",
  ),
  testDiskSize: size(16, 1024 * gibibyte).describe("Size of the empty disk for mkfs and mount."),
  source: text("a folder with a vexlab.yaml, absolute or relative to the checkout").describe(
    "The module under test.",
  ),
  share: oneOf("readonly", "readwrite").describe(
    "Whether the guest may write to the source folder that it mounts.",
  ),
  buildOn: oneOf("host", "guest").describe(
    "Where the module is built: on the host in the image's root file system, or in the guest.",
  ),
  accelerator: oneOf("auto", "kvm", "tcg").describe(
    "How QEMU runs the guest; `auto` takes KVM if it really works here, else emulation.",
  ),
  kernelParameters: allow(
    `words of the kernel's command line, without quotes; not ${ownParameters.join(", ")}`,
    z
      .string()
      .transform((value) => value.split(" ").filter((word) => word !== ""))
      .superRefine((words, context) => {
        const problem = words.map(parameterProblem).find((each) => each !== undefined);
        if (problem !== undefined) context.addIssue({ code: "custom", message: problem });
      })
      .optional(),
  ).describe(
    "Added to the kernel's command line, such as `slub_debug=FZPU`. Other words, another warm image.",
  ),
  gdbPort: allow(
    "off, or a port from 1024 to 65535",
    z.union([z.literal("off").transform(() => undefined), port()], {
      error: "is neither off nor an unprivileged port",
    }),
  ).describe("Port of 127.0.0.1 for QEMU's gdb stub."),
  warm: oneOf("auto", "off").describe(
    "`auto`: the first boot is saved and later starts and tests begin from it; `off`: always boot.",
  ),
  mode: oneOf("interactive", "test").describe(
    "`interactive` leaves the guest running; `test` runs all suites and stops it.",
  ),
  panicOnOops: oneOf(...panicModes).describe(
    "Where an oops ends in a panic when tests run: `forks`, in guests that exist for one run only; `always`, in the stack's own guest as well; `never`.",
  ),
  network: oneOf("isolated", "nat").describe(
    "`isolated`: nothing but the SSH port; `nat`: out to the network, and to the host's loopback at 10.0.2.2.",
  ),
  userData: allow(
    "the path of a cloud-config, or its text beginning with #cloud-config",
    z.string().optional(),
  ).describe("A cloud-config of yours, merged over vexlab's."),
  libvirtUri: allow(
    "qemu:///session, qemu:///system or qemu+ssh://[user@]host/system",
    z.string().regex(libvirtUri, "is not a connection that vexlab can use"),
  ).describe(
    "The libvirt that runs the guest; `qemu:///session` is a daemon of the checkout's own.",
  ),
  suites: allow(
    "names of suites of the manifest, with blanks between them; * stands for any text",
    z
      .string()
      .transform((value) => value.split(" ").filter((word) => word !== ""))
      .refine((words) => words.length > 0, "is empty")
      .optional(),
  ).describe("The suites that `up` runs, such as `file-* memory`."),
  onFailure: oneOf("fail", "report").describe(
    "Whether a failing test makes `pulumi up` fail or is only reported.",
  ),
});

export type StackKey = keyof typeof stackSchema.shape;
export const stackKeys = Object.keys(stackSchema.shape) as StackKey[];

/** The defaults, as a user would write them; keys without one are off. */
export function stackDefaults(
  host: Pick<Host, "cpus" | "memoryMiB">,
  given: Readonly<Partial<Record<StackKey, string>>> = {},
): Partial<Record<StackKey, string>> {
  return {
    image: "debian-12",
    allowUnverified: "false",
    firmware: "bios",
    memory: formatSize(Math.min(4 * gibibyte, largestDefaultMemory(host.memoryMiB))),
    cpus: String(Math.min(4, host.cpus)),
    sshPort: "2222",
    diskSize: "20G",
    testDiskSize: "1G",
    source: "examples/vexfs",
    share: "readonly",
    // Of a downloaded image the host has no files to build with.
    buildOn: isCloudImage(given.image ?? "") ? "guest" : "host",
    accelerator: "auto",
    gdbPort: "off",
    warm: "auto",
    mode: "interactive",
    // Nobody looks at the guest of a stack that ends with its tests.
    panicOnOops: given.mode === "test" ? "always" : "forks",
    network: "isolated",
    libvirtUri: "qemu:///session",
    onFailure: "fail",
  };
}

// The rest of the host needs some, too. Multiples of 256 MiB, so that a kernel update of the host,
// which changes its total by a few pages, does not replace the guest.
function largestDefaultMemory(hostMiB: number): number {
  return Math.max(512, Math.floor((hostMiB * 3) / 4 / 256) * 256);
}

/** Environment variables that override a key of every stack. */
export const stackVariables: Readonly<Partial<Record<StackKey, string>>> = {
  memory: "VEXFS_VM_MEMORY",
  cpus: "VEXFS_VM_CPUS",
  sshPort: "VEXFS_VM_SSH_PORT",
};
