# The web tier and the workers: `bulkql serve` and `bulkql work`.
FROM node:20-slim AS assets
WORKDIR /web
COPY server/web/package.json server/web/package-lock.json server/web/.npmrc server/web/build.mjs ./
RUN npm ci --silent && npm run --silent build

FROM python:3.12-slim
ENV PYTHONUNBUFFERED=1 DJANGO_SETTINGS_MODULE=server.settings
WORKDIR /app
COPY requirements.txt .
RUN pip install --no-cache-dir --require-hashes --requirement requirements.txt
COPY pyproject.toml README.md bulkql.py ./
COPY server server
COPY schema schema
COPY workers workers
COPY examples examples
COPY --from=assets /web/static/graphiql server/web/static/graphiql
RUN pip install --no-cache-dir --no-deps --editable . && useradd --system bulkql
USER bulkql
EXPOSE 8000
CMD ["bulkql", "serve"]
