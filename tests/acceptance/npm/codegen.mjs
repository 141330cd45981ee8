// graphql-codegen's types of the service's own schema, and a frontend's use of them: URL TOKEN -> schema.ts, operations.ts, frontend.ts
import { writeFileSync } from 'node:fs';
import { codegen } from '@graphql-codegen/core';
import * as typescript from '@graphql-codegen/typescript';
import * as operations from '@graphql-codegen/typescript-operations';
import { buildClientSchema, getIntrospectionQuery, parse, printSchema } from 'graphql';

const [url, token] = process.argv.slice(2);
const answer = await fetch(`${url}/graphql`, {
  method: 'POST',
  headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
  body: JSON.stringify({ query: getIntrospectionQuery() }),
});
const schema = buildClientSchema((await answer.json()).data);
const document = parse(`
  query Transactions($filters: FinancialTransactionFilter) {
    financialTransactions(filters: $filters, order: [{ datetime: DESC }]) { id amount financialAccount { name } }
  }
  mutation Create($rows: [FinancialTransactionCreateRow!]) {
    bulkCreate(input: { financialTransactions: { rows: $rows } }) { id state results(first: null) { edges { node { pk } } } }
  }
  query Countries { countries(filters: { continent: { inList: [EU, AF] } }) { iso continent } }
`);
const generate = (filename, documents, pluginMap) => codegen({
  documents,
  config: { scalars: { BigInt: { input: 'string | number', output: 'string' } }, strictScalars: false },
  schema: parse(printSchema(schema)),
  schemaAst: schema,
  filename,
  pluginMap,
  plugins: Object.keys(pluginMap).map((name) => ({ [name]: {} })),
});
const types = await generate('schema.ts', [], { typescript });
writeFileSync('schema.ts', types);
writeFileSync('operations.ts', await generate('operations.ts', [{ location: 'frontend.graphql', document }], { operations }));
writeFileSync('frontend.ts', `
import type { CountriesQuery, CreateMutationVariables, TransactionsQuery, TransactionsQueryVariables } from './operations';

export const asked: TransactionsQueryVariables = { filters: { financialAccount: { name: { exact: 'Cash' } } } };
export const names = (read: TransactionsQuery) => read.financialTransactions.map((one) => one.financialAccount?.name);
export const rows: CreateMutationVariables['rows'] = [
  { amount: '9.90', description: 'Ink', datetime: '2026-01-31T12:00:00Z', financialAccountBy: { name: 'Cash' } },
];
export const continents = (read: CountriesQuery): (string | null | undefined)[] => read.countries.map((one) => one.continent);
// @ts-expect-error: an account is found by a text
export const wrong: TransactionsQueryVariables = { filters: { financialAccount: { name: { exact: 5 } } } };
`);
console.log(JSON.stringify({ types: types.split('export type ').length - 1 }));
