// A certified OAuth server on a free port of loopback, for the end-to-end tests.
// Clients with what proves them, and the tokens' lifetime, come as JSON in OIDC_TEST; the
// first line written is {"port": …}.
import { createServer } from 'node:http';

import Provider from 'oidc-provider';

const { clients, lifetimeSeconds, tokenPath } = JSON.parse(process.env.OIDC_TEST);
const AUDIENCE = 'https://api.signicat.com';

const configuration = {
  clients: clients.map((client) => ({
    ...client,
    grant_types: ['client_credentials'],
    redirect_uris: [],
    response_types: [],
    scope: 'signicat-api',
  })),
  routes: { token: tokenPath },
  scopes: ['signicat-api'],
  enabledJWA: { clientAuthSigningAlgValues: ['RS256', 'PS256', 'ES256'] },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => AUDIENCE,
      getResourceServerInfo: () => ({
        scope: 'signicat-api',
        audience: AUDIENCE,
        accessTokenFormat: 'jwt',
        accessTokenTTL: lifetimeSeconds,
      }),
    },
  },
};

let handle;
const server = createServer((request, response) => handle(request, response));
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address();
  handle = new Provider(`http://127.0.0.1:${port}`, configuration).callback();
  console.log(JSON.stringify({ port }));
});
