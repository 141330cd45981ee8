// tus-js-client against the service: URL TOKEN FILE -> one JSON line with what came of it.
// URL is where createUpload said; through a proxy that cuts, it goes on from where it was.
import { createReadStream, statSync } from 'node:fs';
import { Upload } from 'tus-js-client';

const [url, token, file] = process.argv.slice(2);
let retries = 0;
const upload = new Upload(createReadStream(file), {
  uploadUrl: url,
  uploadSize: statSync(file).size,
  chunkSize: 64 * 1024 * 1024,
  headers: { authorization: `Bearer ${token}` },
  retryDelays: new Array(40).fill(20),
  onShouldRetry: () => { retries += 1; return true; },
  onError: (error) => { console.error(String(error)); process.exit(1); },
  onSuccess: () => { console.log(JSON.stringify({ retries })); process.exit(0); },
});
upload.start();
