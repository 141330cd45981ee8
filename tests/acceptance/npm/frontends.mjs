// Apollo and urql against the service: URL TOKEN NAME CLIENT -> one JSON line with what came of it.
// Each queries by GET, asks by hash first, sends back what it read, and watches an operation to its end.
import { createHash } from 'node:crypto';
import { ApolloClient, ApolloLink, HttpLink, InMemoryCache, gql } from '@apollo/client';
import { PersistedQueryLink } from '@apollo/client/link/persisted-queries';
import { GraphQLWsLink } from '@apollo/client/link/subscriptions';
import { Client, fetchExchange, subscriptionExchange } from '@urql/core';
import { persistedExchange } from '@urql/exchange-persisted';
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';

const [url, token, name, which] = process.argv.slice(2);
const authorization = `Bearer ${token}`;
const sha256 = async (text) => createHash('sha256').update(text).digest('hex');
const socket = createClient({
  url: `${url.replace('http', 'ws')}/graphql`, webSocketImpl: WebSocket, connectionParams: { authorization },
});

// What is sent: the method, and whether it has the query or its hash alone.
const sent = [];
const recorded = (address, options = {}) => {
  const method = options.method ?? 'GET';
  const given = method === 'GET' ? Object.fromEntries(new URL(address).searchParams) : JSON.parse(options.body);
  sent.push(`${method} ${given.query ? 'query' : 'hash'}`);
  return fetch(address, options);
};

const ACCOUNTS = `query Accounts($name: String!) {
  financialAccounts(filters: { name: { exact: $name } }) { id name }
}`;
const UPDATE = `mutation Update($rows: [FinancialAccountUpdateRow!]) {
  bulkUpdate(input: { financialAccounts: { rows: $rows } }) { id state unchanged failed }
}`;
const WATCH = 'subscription Watch($id: ID!) { operation(id: $id) { state total } }';

const apollo = () => {
  const http = new HttpLink({
    uri: `${url}/graphql`, fetch: recorded, headers: { authorization }, useGETForQueries: true,
  });
  const hashed = new PersistedQueryLink({ sha256, useGETForHashedQueries: true });
  const isWatch = ({ operationName }) => operationName === 'Watch';
  const link = ApolloLink.split(isWatch, new GraphQLWsLink(socket), hashed.concat(http));
  const client = new ApolloClient({ link, cache: new InMemoryCache() });
  return {
    query: async (text, variables) => (await client.query({ query: gql(text), variables, fetchPolicy: 'no-cache' })).data,
    mutate: async (text, variables) => (await client.mutate({ mutation: gql(text), variables })).data,
    last: (text, variables) => new Promise((resolve, reject) => {
      let data;
      client.subscribe({ query: gql(text), variables }).subscribe({
        next: (result) => (data = result.data), error: reject, complete: () => resolve(data),
      });
    }),
  };
};

const urql = () => {
  const exchanges = [
    persistedExchange({ generateHash: sha256, preferGetForPersistedQueries: true }),
    fetchExchange,
    subscriptionExchange({
      forwardSubscription: (request) => ({
        subscribe: (sink) => ({ unsubscribe: socket.subscribe({ ...request, query: request.query ?? '' }, sink) }),
      }),
    }),
  ];
  const client = new Client({
    url: `${url}/graphql`, fetch: recorded, exchanges, preferGetMethod: true, fetchOptions: { headers: { authorization } },
  });
  const told = ({ data, error }) => { if (error) throw error; return data; };
  return {
    query: async (text, variables) => told(await client.query(text, variables).toPromise()),
    mutate: async (text, variables) => told(await client.mutation(text, variables).toPromise()),
    last: (text, variables) => new Promise((resolve, reject) => {
      let data;
      client.subscription(text, variables).subscribe((result) => {
        if (result.error) reject(result.error);
        data = result.data ?? data;
        if (data?.operation.state === 'COMPLETED') resolve(data);
      });
    }),
  };
};

const client = { apollo, urql }[which]();
const read = (await client.query(ACCOUNTS, { name })).financialAccounts;
const again = (await client.query(ACCOUNTS, { name })).financialAccounts;
const { bulkUpdate } = await client.mutate(UPDATE, { rows: read });
const { operation } = await client.last(WATCH, { id: bulkUpdate.id });
console.log(JSON.stringify({ sent, read, same: JSON.stringify(read) === JSON.stringify(again), bulkUpdate, operation }));
process.exit(0);
