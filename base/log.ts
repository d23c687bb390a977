import type { Logger } from 'pino';

/** The logger that every part takes by constructor. Fields first, then a message: `log.info({ sandboxId }, 'sandbox ready')`. */
export type Log = Logger;
