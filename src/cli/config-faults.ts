/** The configuration cannot be used; the message lists every fault. */
export class ConfigFaults extends Error {}
