/* How the tests run: `npm test`. Forks, so that a crash of native code ends one file and not the run; two, because CI machines are small. */
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    projects: [{ extends: true, test: { name: 'node', include: ['test/**/*.test.ts'] } }],
    pool: 'forks',
    maxWorkers: 2,
    // A gate on a shared machine: what depends on time (memory after a collection, a stop in mid-job) may try again there, and only there.
    retry: process.env.CI ? 2 : 0,
    testTimeout: 30_000,
    hookTimeout: 30_000,
    // The built package is loaded as users load it: one instance of each module, whether a test names it `bptt` or `#lib/…`.
    server: { deps: { external: [/\/dist\/node\//] } },
  },
})
