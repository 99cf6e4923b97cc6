// connect_client.mjs URL - asks a server with the public Connect clients, unmodified, each
// in its ways, and prints what they understood: a line of JSON a client.
import { Code, ConnectError, createClient } from '@connectrpc/connect';
import { compressionGzip, createConnectTransport as nodeTransport } from '@connectrpc/connect-node';
import { createConnectTransport as webTransport } from '@connectrpc/connect-web';
import { toJson } from '@bufbuild/protobuf';
import { Health, HealthCheckResponse_ServingStatus as Status } from './gen/grpc/health/v1/health_pb.js';
import * as pins from './gen/pinsage/v1/pinsage_pb.js';

const baseUrl = process.argv[2];
const node = (options) => nodeTransport({ baseUrl, httpVersion: '1.1', ...options });
const web = (options) => webTransport({ baseUrl, ...options });
const packed = { sendCompression: compressionGzip, compressMinBytes: 1 };
const clients = {
  'connect-node, binary': node({}),
  'connect-node, JSON': node({ useBinaryFormat: false }),
  'connect-node, binary by GET': node({ useHttpGet: true }),
  'connect-node, JSON by GET': node({ useBinaryFormat: false, useHttpGet: true }),
  'connect-node, with a deadline': node({ defaultTimeoutMs: 5000 }),
  'connect-node, binary, packed': node(packed),
  'connect-node, JSON, packed': node({ ...packed, useBinaryFormat: false }),
  'connect-node, binary by GET, packed': node({ ...packed, useHttpGet: true }),
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

// A pin's life: stored, found, saved, judged, forgotten.
async function live(transport) {
  const client = createClient(pins.RecommendService, transport);
  const visual = { values: [1, 0, 0.25, 0] }, pin = 'born', board = 'nursery';
  const created = (await client.putPin({ pin, title: 'B', features: { visual } })).created;
  const { etag, title } = await client.getPin({ pin });
  const again = await client.putPin({ pin, title: 'C', features: { visual }, ifMatch: etag });
  const stale = await errorOf(client.putPin({ pin, ifMatch: etag }));
  const saved = (await client.savePin({ board, pin })).changed;
  const { count } = await client.getBoard({ board });
  const { results } = await client.related({ pin: 'p0', k: 3 });
  const unsaved = (await client.unsavePin({ board, pin })).changed;
  const { votes } = await client.vote({ query: 'p0', winner: pins.Winner.RIGHT,
    left: { method: 'pixie' }, right: { method: 'visual', pin } });
  await client.deletePin({ pin });
  const gone = await errorOf(client.getPin({ pin }));
  const recommend = await client.recommend({ positives: [{ pin: 'p10' }, { vector: [0, 1, 0.25, 0] }],
    missing: pins.Missing.SKIP, k: 2 });
  const unstored = await client.embed({ features: { visual }, k: 2 });
  return { created, title, again: again.created, stale: stale.code, saved, count,
    found: results.some((r) => r.pin === pin), unsaved, voted: votes > 0n, gone: gone.code,
    recommend: recommend.results.map((r) => r.pin).sort(), vector: unstored.vector,
    unstored: unstored.results.map((r) => r.pin) };
}

for (const [name, transport] of Object.entries(clients))
  console.log(JSON.stringify([name, await ask(transport), await live(transport)]));
process.exit(0);
