import { spawn } from 'node:child_process';

export interface CommandOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Let the output through to the terminal instead of collecting it. */
  readonly inherit?: boolean;
}

/**
 * Runs a program to its end and resolves with its standard output. Rejects with the exit status and the
 * last lines of standard error when it fails. For test tooling only; the daemon starts programs otherwise.
 */
export function runCommand(
  file: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, {
      cwd: options.cwd,
      env: options.env ?? process.env,
      stdio: ['ignore', options.inherit ? 'inherit' : 'pipe', options.inherit ? 'inherit' : 'pipe'],
    });
    const out: Buffer[] = [];
    let err = '';
    child.stdout?.on('data', (chunk: Buffer) => out.push(chunk));
    child.stderr?.on('data', (chunk: Buffer) => {
      err = (err + chunk.toString()).slice(-8000);
    });
    child.on('error', (cause) => reject(new Error(`failed to start ${file}`, { cause })));
    child.on('close', (code, signal) => {
      if (code === 0) resolve(Buffer.concat(out).toString());
      else {
        const shown = `${file} ${args.join(' ')}`.slice(0, 300);
        reject(new Error(`${shown}: ${signal ?? `exit status ${code}`}\n${err.trim()}`));
      }
    });
  });
}
