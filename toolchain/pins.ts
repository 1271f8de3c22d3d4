/**
 * The one table of the Pulumi engine and plugins: which version, where it comes from, in which
 * order, and why. Everything else in this folder acts on this table; its text is part of the key
 * under which the installed toolchain is cached.
 *
 * Order for every tool: what the user already has, the project's official download, and at last a
 * build from Go modules pinned by the go.sum files beside this one. The builds are for networks
 * where Go's module proxy is all that can be reached.
 */

/** Processor names: Node's, Go's, and the one in the names of Pulumi's engine archives. */
export interface Architecture {
  readonly node: string;
  readonly go: string;
  readonly pulumi: string;
}

const architectures: readonly Architecture[] = [
  { node: "x64", go: "amd64", pulumi: "x64" },
  { node: "arm64", go: "arm64", pulumi: "arm64" },
];

/** The names of this machine's processor; undefined where no tool of the table exists for it. */
export function architectureOf(node: string = process.arch): Architecture | undefined {
  return architectures.find((architecture) => architecture.node === node);
}

/** Programs on the user's PATH, taken when all are there and the first one's version fits. */
export interface PathSource {
  readonly kind: "path";
  /** Lowest version taken, and the first that is too new. */
  readonly from: string;
  readonly below: string;
}

/** An archive (tar, gzip) on an official site. */
export interface DownloadSource {
  readonly kind: "download";
  readonly url: (architecture: Architecture) => string;
  /** A published list of SHA-256 sums ("<hex>  <file name>" lines), where there is one. */
  readonly checksums?: string;
}

/** Pulumi's bridge fetches the provider itself, by OpenTofu's registry protocol, and checks it. */
export interface RegistrySource {
  readonly kind: "registry";
  readonly url: string;
}

/** A build of pinned Go modules: a folder beside this file that holds go.mod and go.sum. */
export interface GoSource {
  readonly kind: "go";
  readonly folder: string;
  /** The Go release that builds it; `go` fetches it by itself (GOTOOLCHAIN). */
  readonly toolchain: string;
  /** Packages to build, by the name of the program that each becomes. */
  readonly packages: Readonly<Record<string, string>>;
  /** String variables that the linker sets, `<import path>.<name>`. */
  readonly variables: Readonly<Record<string, string>>;
}

/** A folder beside this file with a stand-in of ours, used in networks without the official one. */
export interface StandInSource {
  readonly kind: "stand-in";
  readonly folder: string;
}

export type Source = PathSource | DownloadSource | RegistrySource | GoSource | StandInSource;

export interface Tool {
  readonly name: string;
  readonly version: string;
  /** Why this tool, this version, and these sources in this order. */
  readonly why: string;
  /** Programs that it consists of. */
  readonly programs: readonly string[];
  readonly sources: readonly Source[];
}

const pulumiSite = "https://get.pulumi.com/releases";

export const pulumi = {
  name: "pulumi",
  version: "3.187.0",
  why:
    "The engine and its Node.js language host must be of one release: they speak a private " +
    "protocol. 3.187.0 is the newest whose language host can be built from the Go proxy, and " +
    "@pulumi/pulumi of the same number still runs on Node 20. Go 1.25 because 3.187.0 built by " +
    "Go 1.26 generates SDKs with wrong import paths. From PATH any newer 3.x does, with its own host.",
  programs: ["pulumi", "pulumi-language-nodejs"],
  sources: [
    { kind: "path", from: "3.187.0", below: "4.0.0" },
    {
      kind: "download",
      url: ({ pulumi }) => `${pulumiSite}/sdk/pulumi-v3.187.0-linux-${pulumi}.tar.gz`,
      checksums: `${pulumiSite}/sdk/pulumi-3.187.0-checksums.txt`,
    },
    {
      kind: "go",
      folder: "pulumi",
      toolchain: "go1.25.5",
      packages: {
        pulumi: "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",
        "pulumi-language-nodejs":
          "github.com/pulumi/pulumi/sdk/nodejs/cmd/pulumi-language-nodejs/v3",
      },
      variables: { "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version": "v3.187.0" },
    },
  ],
} as const satisfies Tool;

export const terraformBridge = {
  name: "terraform-provider",
  version: "1.1.0",
  why:
    "The plugin that runs any Terraform provider under Pulumi. A release of it is a build of " +
    "pulumi-terraform-bridge's `dynamic` package that is told its number by the linker, so the Go " +
    "build is told the number that Pulumi.yaml asks for. A plugin doesn't tell its version on " +
    "PATH, so it isn't looked for there.",
  programs: ["pulumi-resource-terraform-provider"],
  sources: [
    {
      kind: "download",
      url: ({ go }) =>
        `${pulumiSite}/plugins/pulumi-resource-terraform-provider-v1.1.0-linux-${go}.tar.gz`,
    },
    {
      kind: "go",
      folder: "terraform-bridge",
      toolchain: "go1.25.11",
      packages: {
        "pulumi-resource-terraform-provider":
          "github.com/pulumi/pulumi-terraform-bridge/v3/dynamic",
      },
      variables: {
        "github.com/pulumi/pulumi-terraform-bridge/v3/dynamic/version.version": "v1.1.0",
      },
    },
  ],
} as const satisfies Tool;

export const libvirtProvider = {
  name: "libvirt",
  version: "0.8.3",
  why:
    "The Terraform provider of libvirt. 0.9.x cannot be built from the Go proxy (its tags don't " +
    "match its module path), and the shape of its resources is another.",
  programs: ["terraform-provider-libvirt_v0.8.3"],
  sources: [
    { kind: "registry", url: "https://registry.opentofu.org" },
    {
      kind: "go",
      folder: "libvirt-provider",
      toolchain: "go1.25.5",
      packages: {
        "terraform-provider-libvirt_v0.8.3": "github.com/dmacvicar/terraform-provider-libvirt",
      },
      variables: {},
    },
  ],
} as const satisfies Tool;

export const commandPlugin = {
  name: "command",
  version: "1.2.1",
  why:
    "Runs vexlab's verbs as Pulumi resources. 1.2.1 is the newest real release (npm's `latest` is " +
    "a stray one). The official plugin can't be built from the Go proxy (the module of its " +
    "provider was never tagged), so a stand-in of the same behaviour is used where it can't be " +
    "downloaded.",
  programs: ["pulumi-resource-command"],
  sources: [
    {
      kind: "download",
      url: ({ go }) => `${pulumiSite}/plugins/pulumi-resource-command-v1.2.1-linux-${go}.tar.gz`,
    },
    { kind: "stand-in", folder: "command-plugin" },
  ],
} as const satisfies Tool;

/** In the order of installation: the engine installs the plugins, the bridge fetches the provider. */
export const tools: readonly Tool[] = [pulumi, terraformBridge, libvirtProvider, commandPlugin];

/** The address of the libvirt provider in OpenTofu's registry, as Pulumi.yaml names it. */
export const libvirtProviderAddress = "registry.opentofu.org/dmacvicar/libvirt";
