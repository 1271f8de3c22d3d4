/**
 * Which libvirt a stack talks to.
 *
 * `qemu:///session` means the private session daemon of this checkout (daemon.ts): its socket has a
 * path that does not depend on the login session, which the provider needs, since it dials a socket
 * and never starts a daemon. Every other URI is taken as it is.
 * URI format: https://libvirt.org/uri.html
 */
import { daemonSocket } from "./daemon.ts";
import { daemonFolder } from "../config/places.ts";

/** Whether the configured URI is served by the checkout's own daemon. */
export function usesPrivateDaemon(configuredUri: string): boolean {
  return configuredUri === "qemu:///session";
}

/** The URI to hand to libvirt's clients for a configured `vexlab:libvirtUri`. */
export function connectionUri(configuredUri: string, folder: string = daemonFolder()): string {
  return usesPrivateDaemon(configuredUri)
    ? `qemu:///session?socket=${daemonSocket(folder)}`
    : configuredUri;
}

/** Whether a URI that libvirt's clients take is that of the checkout's own daemon. */
export function isPrivateDaemon(uri: string): boolean {
  return uri === connectionUri("qemu:///session");
}
