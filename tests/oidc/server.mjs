// A certified OAuth server on a free port of loopback, for the end-to-end tests.
// Clients with what proves them, and the tokens' lifetime, come as JSON in OIDC_TEST; the
// first line written is {"port": …}. With `tls` (PEM: cert, key, and ca for clients) it speaks
// TLS and asks for certificates.
import { createServer } from 'node:http';
import { createServer as createSecureServer } from 'node:https';

import Provider from 'oidc-provider';

const { clients, lifetimeSeconds, tls, tokenPath } = JSON.parse(process.env.OIDC_TEST);
const AUDIENCE = 'https://api.signicat.com';
const SCHEME = tls ? 'https' : 'http';

const shown = (ctx) => (tls ? ctx.req.socket.getPeerX509Certificate() : undefined);

const configuration = {
  clients: clients.map((client) => ({
    ...client,
    grant_types: ['client_credentials'],
    redirect_uris: [],
    response_types: [],
    scope: 'signicat-api',
  })),
  clientAuthMethods: [...new Set(clients.map((client) => client.token_endpoint_auth_method))],
  routes: { token: tokenPath },
  scopes: ['signicat-api'],
  enabledJWA: { clientAuthSigningAlgValues: ['RS256', 'PS256', 'ES256'] },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    mTLS: {
      enabled: true,
      tlsClientAuth: true,
      selfSignedTlsClientAuth: true,
      getCertificate: (ctx) => shown(ctx)?.toString(),
      certificateAuthorized: (ctx) => ctx.req.socket.authorized,
      certificateSubjectMatches: (ctx, property, expected) => (
        property === 'tls_client_auth_san_dns'
        && shown(ctx).subjectAltName.split(', ').includes(`DNS:${expected}`)
      ),
    },
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
const answer = (request, response) => handle(request, response);
const server = tls
  ? createSecureServer({ ...tls, requestCert: true, rejectUnauthorized: false }, answer)
  : createServer(answer);
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address();
  handle = new Provider(`${SCHEME}://127.0.0.1:${port}`, configuration).callback();
  console.log(JSON.stringify({ port }));
});
