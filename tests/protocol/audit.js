// graphql-http's audits of a GraphQL server over HTTP -> a line of JSON for each: id, name, status, reason.
import { auditServer } from "graphql-http";

const [url, token] = process.argv.slice(2);
const fetchFn = (target, request) =>
  fetch(target, { ...request, headers: { ...request?.headers, authorization: `Bearer ${token}` } });
for (const { id, name, status, reason } of await auditServer({ url, fetchFn })) {
  console.log(JSON.stringify({ id, name, status, reason: reason ?? null }));
}
