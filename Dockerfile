# The web tier and the workers: `bulkql serve` and `bulkql work`.
FROM node:20-slim AS assets
WORKDIR /web
COPY server/web/package.json server/web/package-lock.json server/web/.npmrc server/web/build.mjs ./
RUN npm ci --silent && npm run --silent build

FROM python:3.12-slim
ENV PYTHONUNBUFFERED=1 DJANGO_SETTINGS_MODULE=bulkql.server.settings
WORKDIR /app
COPY requirements.txt .
RUN pip install --no-cache-dir --require-hashes --requirement requirements.txt
COPY pyproject.toml MANIFEST.in README.md LICENSE ./
COPY bulkql bulkql
COPY server server
COPY schema schema
COPY workers workers
COPY examples examples
COPY --from=assets /web/static/graphiql server/web/static/graphiql
# GraphiQL is there already: this wheel is built without npm. The sources stay behind, out of Python's way.
RUN pip install --no-cache-dir --no-deps . && rm -rf /app/* && useradd --system bulkql
USER bulkql
EXPOSE 8000
CMD ["bulkql", "serve"]
