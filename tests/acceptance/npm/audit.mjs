// graphql-http's audit of GraphQL over HTTP: URL TOKEN -> one JSON line for each of its audits.
import { serverAudits } from 'graphql-http';

const [url, token] = process.argv.slice(2);
const fetchFn = (address, options = {}) =>
  fetch(address, { ...options, headers: { authorization: `Bearer ${token}`, ...options.headers } });

for (const audit of serverAudits({ url, fetchFn })) {
  const { id, name, status, reason } = await audit.fn();
  console.log(JSON.stringify({ id, name, status, reason }));
}
