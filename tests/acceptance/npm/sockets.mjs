// graphql-ws's own client against the service: URL TOKEN CASE -> one JSON line with what came of it.
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';

const [url, token, name] = process.argv.slice(2);
const authorization = { authorization: `Bearer ${token}` };

// A client of the library, which closes nothing by itself and never tries again.
const client = (options = {}) =>
  createClient({ url, webSocketImpl: WebSocket, connectionParams: authorization, retryAttempts: 0, ...options });

// A socket that sends these frames one after another, each once the frame before has an answer: its answers and its end.
const raw = (frames, protocols = ['graphql-transport-ws']) =>
  new Promise((resolve) => {
    const socket = new WebSocket(url, protocols);
    const received = [];
    const next = () => frames.length && socket.send(JSON.stringify(frames.shift()));
    socket.on('open', next);
    socket.on('message', (data) => { received.push(JSON.parse(data)); next(); });
    socket.on('close', (code, reason) => resolve({ received, code, reason: String(reason) }));
    socket.on('error', () => {});
  });
const init = { type: 'connection_init', payload: authorization };
const typename = (id) => ({ id, type: 'subscribe', payload: { query: '{ __typename }' } });
const watching = (id) => ({ id, type: 'subscribe', payload: { query: 'subscription { operations { id } }' } });

const all = async (asked, payload) => {
  const results = [];
  for await (const result of asked.iterate(payload)) results.push(result);
  return results;
};

const cases = {
  query: () => all(client(), { query: '{ __typename }' }),
  ping: async () => {
    const pongs = [];
    const asked = client({ keepAlive: 50, lazy: false, on: { pong: (received) => received && pongs.push('pong') } });
    while (pongs.length < 2) await new Promise((resolve) => setTimeout(resolve, 20));
    await asked.dispose();
    return pongs.length;
  },
  // The client unsubscribes: the service goes on with the socket.
  complete: async () => {
    const asked = client();
    const watched = asked.iterate({ query: 'subscription { operations { id } }' });
    const first = watched.next();
    await watched.return();
    await first.catch(() => {});
    return all(asked, { query: '{ __typename }' });
  },
  syntax: async () => {
    const asked = client();
    const [broken, sound] = await Promise.allSettled([
      all(asked, { query: '{' }), all(asked, { query: '{ __typename }' }),
    ]);
    return { broken: broken.reason, sound: sound.value };
  },
  unauthorized: () => raw([typename('1')]),
  forbidden: () => raw([{ type: 'connection_init', payload: { authorization: 'Bearer junk' } }]),
  twice: () => raw([init, init]),
  exists: () => new Promise((resolve) => {
    const socket = new WebSocket(url, ['graphql-transport-ws']);
    socket.on('open', () => socket.send(JSON.stringify(init)));
    socket.on('message', () => [watching('1'), watching('1')].forEach((one) => socket.send(JSON.stringify(one))));
    socket.on('close', (code, reason) => resolve({ code, reason: String(reason) }));
  }),
  late: () => raw([]),
};
for (const [place, frame] of [[1, 2], null, 5, 'x', {}, { type: 5 }, { type: 'subscribe', id: 5, payload: {} },
  { type: 'subscribe', id: '1', payload: [] }, { type: 'x'.repeat(500) }].entries())
  cases[`frame${place}`] = () => raw([init, frame]);

console.log(JSON.stringify(await cases[name]()));
process.exit(0);
