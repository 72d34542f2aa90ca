// A caller of Dust's TypeScript SDK, for `live-dust`:
//
//     DUST_TS_SDK=CHECKOUT DUST_TOKEN=… node caller.mjs URL PREFIX KEYS COUNT FILL_MS
//
// NOT RUN by those who wrote it: no checkout of the SDK was at hand, only what was recorded of its
// frames. What it takes for the SDK's names stands in `open` below and nowhere else: put right there
// what differs. The algorithm is that of the SDKs' single-flight, written with leases and watches.
import { pathToFileURL } from "node:url";
import { join } from "node:path";

const [url, prefix, keys, count, fillMs] = process.argv.slice(2);

/** The four things that are needed of the SDK. */
async function open() {
  const sdk = await import(pathToFileURL(join(process.env.DUST_TS_SDK, "dist/index.js")).href);
  // dust+wss://HOST/ORG/STORE?… -> wss://HOST/ws/sync, ORG/STORE
  const at = new URL(url.replace(/^dust\+/, ""));
  const client = new sdk.Dust({
    url: `${at.protocol}//${at.host}/ws/sync`,
    token: process.env.DUST_TOKEN,
  });
  const store = await client.store(at.pathname.slice(1));
  return {
    /** The value at a key, as it stands here; undefined if there is none. */
    get: async (key) => {
      const value = await store.get(key);
      return typeof value === "string" ? JSON.parse(value) : undefined;
    },
    /** A lease, or undefined if somebody has it. */
    lease: async (key, ttlMs) => {
      try {
        return await store.lease(key, { ttlMs });
      } catch (error) {
        if (error.reason === "held") return undefined;
        throw error;
      }
    },
    renew: (lease, ttlMs) => store.renew(lease, { ttlMs }),
    release: (lease) => store.release(lease),
    put: (key, value, fence) => store.put(key, JSON.stringify(value), { fence }),
    close: () => client.close(),
  };
}

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const ttl = 2000;

async function want(dust, key) {
  for (;;) {
    const standing = await dust.get(key);
    if (standing !== undefined) return standing;
    const lease = await dust.lease(`_dust:sf/${key}`, ttl);
    if (lease === undefined) {
      await sleep(50 + Math.random() * 200);
      continue;
    }
    const heartbeat = setInterval(() => dust.renew(lease, ttl).catch(() => {}), ttl / 3);
    try {
      console.log(`filling ${key}`);
      await sleep(Number(fillMs));
      const value = { by: "typescript", pid: process.pid, key };
      await dust.put(key, value, lease);
      return value;
    } finally {
      clearInterval(heartbeat);
      await dust.release(lease);
    }
  }
}

const dust = await open();
await Promise.all(
  Array.from({ length: Number(count) }, async (_, number) => {
    const key = `${prefix}/${keys}/${number}`;
    const value = await want(dust, key);
    console.log(`landed ${key} ${JSON.stringify(value)}`);
  }),
);
await dust.close();
