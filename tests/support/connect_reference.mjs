// connect_reference.mjs - the public reference handler of the Connect protocol, serving
// our service with answers that do not matter: what it refuses, and how, is the point.
// Prints its port and serves until it is killed.
import http from 'node:http';
import { Code, ConnectError } from '@connectrpc/connect';
import { connectNodeAdapter } from '@connectrpc/connect-node';
import { RecommendService } from './gen/pinsage/v1/pinsage_pb.js';

const need = (pin) => {
  if (!pin) throw new ConnectError('pin: is required', Code.InvalidArgument);
  if (pin === 'nobody') throw new ConnectError('there is no pin', Code.NotFound);
  return { pin };
};

const handler = connectNodeAdapter({
  readMaxBytes: 65536,
  requireConnectProtocolHeader: false,
  routes: (router) => router.service(RecommendService, {
    related: (request) => need(request.pin),
    getPin: (request) => need(request.pin),
    putPin: (request) => need(request.pin),
  }),
});
const server = http.createServer(handler);
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
