// A proxy as one writes it with Node's http server and undici's pool.
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { Pool, request } from 'undici'

const { CA_FILE, PORT, TOKEN_URL, UPSTREAM } = process.env
const hopByHop = new Set(['connection', 'host', 'keep-alive', 'te', 'transfer-encoding', 'upgrade'])
const connect = { ca: readFileSync(CA_FILE), servername: 'localhost' }
const pool = new Pool(UPSTREAM, { connections: 128, connect })

let token = { line: '', expires: 0 }

async function authorization () {
  if (Date.now() >= token.expires) {
    const response = await request(TOKEN_URL, {
      method: 'POST',
      headers: {
        authorization: `Basic ${Buffer.from('bench:bench').toString('base64')}`,
        'content-type': 'application/x-www-form-urlencoded'
      },
      body: 'grant_type=client_credentials&scope=signicat-api'
    })
    const grant = await response.body.json()
    token = { line: `Bearer ${grant.access_token}`, expires: Date.now() + grant.expires_in * 900 }
  }
  return token.line
}

function kept (headers) {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !hopByHop.has(name)))
}

async function forward (incoming, outgoing) {
  const hasBody = 'content-length' in incoming.headers || 'transfer-encoding' in incoming.headers
  const headers = { ...kept(incoming.headers), authorization: await authorization() }
  const { method, url: path } = incoming
  await pool.stream({ method, path, headers, body: hasBody ? incoming : null },
    ({ statusCode, headers: received }) => outgoing.writeHead(statusCode, kept(received)))
}

const server = createServer((incoming, outgoing) => {
  forward(incoming, outgoing).catch(() => {
    if (outgoing.headersSent) outgoing.destroy()
    else outgoing.writeHead(502).end()
  })
})
server.keepAliveTimeout = 3600e3
server.listen({ host: '127.0.0.1', port: Number(PORT), backlog: 4096 })
