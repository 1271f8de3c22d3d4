/** The engine's side of the conversation: its log, to which a plugin may write. */
import { Writable } from "node:stream";

import grpc from "@grpc/grpc-js";
import engineMessages from "@pulumi/pulumi/proto/engine_pb.js";
import engineService from "@pulumi/pulumi/proto/engine_grpc_pb.js";

/** Milliseconds that one line may take; an engine that is that slow gets no more lines. */
const logDeadline = 10_000;

/** Lines that wait for the engine before the command that prints them has to. */
const linesInFlight = 512;

export class Engine {
  private readonly client: InstanceType<typeof engineService.EngineClient>;
  private lost = false;

  /** @param address `127.0.0.1:port`, the engine's argument to every plugin. */
  constructor(address: string) {
    this.client = new engineService.EngineClient(address, grpc.credentials.createInsecure());
  }

  /** A message that is shown only by `pulumi --debug`. */
  debug(message: string): void {
    void this.log(engineMessages.LogSeverity.DEBUG, message, "", false);
  }

  /**
   * A sink for a resource's lines, sent one after the other so that they keep their order. They
   * show in the resource's status while they are the newest (Pulumi calls this ephemeral).
   */
  statusLines(urn: string): Writable {
    return new Writable({
      decodeStrings: false,
      objectMode: true,
      highWaterMark: linesInFlight,
      write: (line: string, _encoding, done) => {
        void this.log(engineMessages.LogSeverity.INFO, line, urn, true).then(() => done());
      },
    });
  }

  private log(
    severity: engineMessages.LogSeverity,
    message: string,
    urn: string,
    ephemeral: boolean,
  ): Promise<void> {
    if (this.lost) return Promise.resolve();
    const request = new engineMessages.LogRequest()
      .setSeverity(severity)
      .setMessage(message)
      .setUrn(urn)
      .setEphemeral(ephemeral);
    const options = { deadline: Date.now() + logDeadline };
    return new Promise((resolve) =>
      this.client.log(request, new grpc.Metadata(), options, (error) => {
        // A command goes on without its log; its output is in its result.
        if (error) this.lost = true;
        resolve();
      }),
    );
  }
}
