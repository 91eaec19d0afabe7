import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // Renderer processes and Chromium are CPU-bound: more test files at once than cores only makes deadlines noisy.
    maxWorkers: 2,
    reporters: ['default'],
  },
})
