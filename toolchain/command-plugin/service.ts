/** Pulumi's gRPC service of a resource provider, in terms of CommandProvider. */
import grpc from "@grpc/grpc-js";
import pluginMessages from "@pulumi/pulumi/proto/plugin_pb.js";
import providerService from "@pulumi/pulumi/proto/provider_grpc_pb.js";
import messages from "@pulumi/pulumi/proto/provider_pb.js";
import empty from "google-protobuf/google/protobuf/empty_pb.js";
import struct from "google-protobuf/google/protobuf/struct_pb.js";

import type { CommandProvider } from "./commandProvider.ts";
import type { InputFailure } from "./inputs.ts";
import type { Properties } from "./propertyValue.ts";

/**
 * Adds the service to the server. Methods that a provider without configuration, components and
 * schema doesn't need are left out: gRPC answers "unimplemented", which the engine understands.
 */
export function serve(server: grpc.Server, provider: CommandProvider, version: string): void {
  const { ResourceProviderService: service } = providerService;
  const implementation: Partial<providerService.IResourceProviderServer> = {
    getPluginInfo: answer(() => new pluginMessages.PluginInfo().setVersion(version)),
    configure: answer(() =>
      new messages.ConfigureResponse()
        .setAcceptsecrets(true)
        .setAcceptresources(true)
        .setSupportspreview(true),
    ),
    check: answer((request: messages.CheckRequest) =>
      new messages.CheckResponse()
        .setInputs(request.getNews())
        .setFailuresList(checkFailures(provider.check(request.getUrn(), read(request.getNews())))),
    ),
    diff: answer((request: messages.DiffRequest) => {
      const news = read(request.getNews());
      return diffResponse(provider.diff(request.getUrn(), read(request.getOldInputs()), news));
    }),
    create: answer(async (request: messages.CreateRequest) => {
      const inputs = read(request.getProperties());
      if (request.getPreview()) {
        const outputs = provider.previewCreate(request.getUrn(), inputs);
        return new messages.CreateResponse().setProperties(write(outputs));
      }
      const { id, outputs } = await provider.create(operation(request), inputs);
      return new messages.CreateResponse().setId(id).setProperties(write(outputs));
    }),
    update: answer(async (request: messages.UpdateRequest) => {
      const inputs = read(request.getNews());
      const before = read(request.getOlds());
      const outputs = request.getPreview()
        ? provider.previewUpdate(request.getUrn(), inputs, read(request.getOldInputs()), before)
        : await provider.update(operation(request), inputs, before);
      return new messages.UpdateResponse().setProperties(write(outputs));
    }),
    delete: answer(async (request: messages.DeleteRequest) => {
      await provider.delete(operation(request), read(request.getProperties()));
      return new empty.Empty();
    }),
    read: answer(async (request: messages.ReadRequest) => {
      const state = await provider.read(request.getUrn(), read(request.getProperties()));
      return new messages.ReadResponse()
        .setId(request.getId())
        .setProperties(write(state))
        .setInputs(request.getInputs());
    }),
    invoke: answer(async (request: messages.InvokeRequest) => {
      const { failures, outputs } = await provider.invoke(
        request.getTok(),
        read(request.getArgs()),
      );
      return new messages.InvokeResponse()
        .setReturn(outputs && write(outputs))
        .setFailuresList(checkFailures(failures));
    }),
    cancel: answer(() => {
      provider.cancel();
      return new empty.Empty();
    }),
  };
  server.addService(service, implementation as grpc.UntypedServiceImplementation);
}

function answer<Request, Response>(
  handle: (request: Request) => Response | Promise<Response>,
): grpc.handleUnaryCall<Request, Response> {
  return (call, reply) => {
    Promise.resolve(call.request)
      .then(handle)
      .then(
        (response) => reply(null, response),
        (error: unknown) =>
          reply({
            code: grpc.status.UNKNOWN,
            details: error instanceof Error ? error.message : String(error),
          }),
      );
  };
}

function read(properties: struct.Struct | undefined): Properties {
  return properties?.toJavaScript() ?? {};
}

function write(properties: Properties): struct.Struct {
  return struct.Struct.fromJavaScript(properties);
}

function operation(
  request: messages.CreateRequest | messages.UpdateRequest | messages.DeleteRequest,
): { urn: string; timeout: number } {
  return { urn: request.getUrn(), timeout: request.getTimeout() };
}

function checkFailures(failures: readonly InputFailure[]): messages.CheckFailure[] {
  return failures.map(({ property, reason }) =>
    new messages.CheckFailure().setProperty(property).setReason(reason),
  );
}

function diffResponse(found: ReturnType<CommandProvider["diff"]>): messages.DiffResponse {
  const { Kind } = messages.PropertyDiff;
  const kinds = {
    add: [Kind.ADD, Kind.ADD_REPLACE],
    delete: [Kind.DELETE, Kind.DELETE_REPLACE],
    update: [Kind.UPDATE, Kind.UPDATE_REPLACE],
  } as const;
  const { DiffChanges } = messages.DiffResponse;
  const response = new messages.DiffResponse()
    .setChanges(found.length > 0 ? DiffChanges.DIFF_SOME : DiffChanges.DIFF_NONE)
    .setHasdetaileddiff(true);
  const names = (differences: typeof found) => [
    ...new Set(differences.map(({ path }) => path.replace(/[.[].*/s, ""))),
  ];
  response.setDiffsList(names(found));
  response.setReplacesList(names(found.filter(({ replaces }) => replaces)));
  for (const { path, kind, replaces } of found) {
    const difference = new messages.PropertyDiff();
    difference.setKind(kinds[kind][replaces ? 1 : 0]).setInputdiff(true);
    response.getDetaileddiffMap().set(path, difference);
  }
  return response;
}
