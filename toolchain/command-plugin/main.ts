/**
 * The plugin `pulumi-resource-command`: a stand-in for the official one in networks where that
 * can't be had (docs/command-plugin.md). The engine starts it with its own address as the last
 * argument, in the program's folder, and reads the port to talk to from the first line.
 */
import { dirname } from "node:path";

import grpc from "@grpc/grpc-js";

import { CommandProvider } from "./commandProvider.ts";
import { Engine } from "./engine.ts";
import { ProcessGroups } from "./processGroups.ts";
import { serve } from "./service.ts";

// Set by the bundler: the version of the official plugin that this one stands in for.
declare const STAND_IN_VERSION: string;

const engineAddress = process.argv.at(-1) ?? "";
if (!/^[^-].*:\d+$/.test(engineAddress)) {
  process.stderr.write(
    `vexlab's stand-in for pulumi-resource-command ${STAND_IN_VERSION}: started by Pulumi's engine ` +
      "with the engine's address (host:port) as its last argument\n",
  );
  process.exit(2);
}

const engine = new Engine(engineAddress);
const groups = new ProcessGroups(dirname(process.argv[1] ?? ""));
const provider = new CommandProvider(groups, (urn) => engine.statusLines(urn));
const server = new grpc.Server({
  "grpc.max_receive_message_length": -1,
  "grpc.max_send_message_length": -1,
});
serve(server, provider, STAND_IN_VERSION);

// An engine that was killed tells nobody. Its plugins get another parent; the commands that still
// run are ended by the watchdog of ProcessGroups.
const parent = process.ppid;
setInterval(() => {
  if (process.ppid !== parent) process.exit(1);
}, 500).unref();

server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error;
  process.stdout.write(`${port}\n`);
  engine.debug(
    `command plugin ${STAND_IN_VERSION}: vexlab's stand-in for the official one, from ${process.argv[1]}`,
  );
});
