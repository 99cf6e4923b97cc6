// connect_client.mjs URL - asks a server with the public Connect clients, unmodified, each
// in its ways, and prints what they understood: a line of JSON a client.
import { Code, ConnectError, createClient } from '@connectrpc/connect';
import { createConnectTransport as nodeTransport } from '@connectrpc/connect-node';
import { createConnectTransport as webTransport } from '@connectrpc/connect-web';
import { toJson } from '@bufbuild/protobuf';
import { Health, HealthCheckResponse_ServingStatus as Status } from './gen/grpc/health/v1/health_pb.js';
import * as pins from './gen/pinsage/v1/pinsage_pb.js';

const baseUrl = process.argv[2];
const node = (options) => nodeTransport({ baseUrl, httpVersion: '1.1', ...options });
const web = (options) => webTransport({ baseUrl, ...options });
const clients = {
  'connect-node, binary': node({}),
  'connect-node, JSON': node({ useBinaryFormat: false }),
  'connect-node, binary by GET': node({ useHttpGet: true }),
  'connect-node, JSON by GET': node({ useBinaryFormat: false, useHttpGet: true }),
  'connect-node, with a deadline': node({ defaultTimeoutMs: 5000 }),
  'connect-web, JSON': web({}),
  'connect-web, binary': web({ useBinaryFormat: true }),
  'connect-web, JSON by GET': web({ useHttpGet: true }),
};

// What an error says: its code by name, and the pins near, from its typed detail.
async function errorOf(promise) {
  try {
    return { answer: await promise };
  } catch (error) {
    const e = ConnectError.from(error);
    return { code: Code[e.code], message: e.rawMessage,
      near: e.findDetails(pins.NearPinsSchema).flatMap((detail) => detail.pins) };
  }
}

async function ask(transport) {
  const client = createClient(pins.RecommendService, transport);
  const json = async (schema, promise) =>
    toJson(schema, await promise, { useProtoFieldName: true, alwaysEmitImplicit: true });
  const { status } = await createClient(Health, transport).check({});
  return {
    related: await json(pins.RelatedResponseSchema, client.related({ pin: 'p10', k: 5 })),
    pin: await json(pins.GetPinResponseSchema, client.getPin({ pin: 'p3' })),
    board: await json(pins.GetBoardResponseSchema, client.getBoard({ board: 'b3', limit: 4 })),
    health: Status[status],
    unknown: await errorOf(client.related({ pin: 'p100' })),
    invalid: await errorOf(client.related({ pin: 'p1', k: 1001 })),
    missing: await errorOf(client.putPin({ pin: 'x', features: { visual: { values: [1, NaN] } } })),
  };
}

for (const [name, transport] of Object.entries(clients))
  console.log(JSON.stringify([name, await ask(transport)]));
process.exit(0);
