/**
 * Bundles the sources and the packages they use into what an installed Berth runs: four programs and the parts that they
 * share, all in one folder. What the sources import when it is first needed stays a file of its own, read when it is needed.
 *
 * CommonJS, for it loads faster than ES modules; with its names and lines, so that a stack trace can be read without a source
 * map; and ASCII alone, for one letter beyond that doubles the memory of the file it stands in. docs/performance.md has figures.
 */
import { readFileSync } from 'node:fs';
import { basename, extname } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { type Plugin, rolldown } from 'rolldown';

const projectRoot = fileURLToPath(new URL('..', import.meta.url));

/** The programs by the names of their bundles, each with its source. */
const programs = {
  berthd: 'daemon/main.ts',
  berth: 'cli/main.ts',
  'berth-audit': 'daemon/audit-main.ts',
  layers: 'images/worker/main.ts',
} as const;

export type BundledProgram = keyof typeof programs;

/**
 * What stays outside: the FFI, which is a native addon; the form of the log for people, which no installed daemon has; and
 * what grpc-js asks for only when it offers services that are not offered here.
 */
const external = [/^node:/, 'koffi', 'pino-pretty', '@grpc/proto-loader'];

/** A file of the bundle, by its name in the folder of all of them. */
export interface BundledFile {
  readonly name: string;
  readonly text: string;
}

/** How the code is written. What is installed is the default; the others are there to be compared (bench.ts). */
export interface BundleForm {
  readonly format: 'cjs' | 'es';
  /** Letters beyond ASCII as escapes. */
  readonly isAscii: boolean;
  /** Without line ends and with short names. */
  readonly isMinified: boolean;
}

const installedForm: BundleForm = { format: 'cjs', isAscii: true, isMinified: false };

const extensionOf = ({ format }: BundleForm): string => (format === 'cjs' ? 'cjs' : 'mjs');

/** The name of a program's file, and the path of the source that it begins with. */
export function bundledProgram(
  program: BundledProgram,
  form: BundleForm = installedForm,
): { readonly file: string; readonly source: string } {
  return { file: `${program}.${extensionOf(form)}`, source: programs[program] };
}

/** How our sources name a file beside them: `new URL('name', import.meta.url)`. */
const neighbour = /new URL\(\s*'([^']+)',\s*import\.meta\.url,?\s*\)/g;

/**
 * Takes what sources name beside themselves along into the folder, be it data or another program. Names are those of the
 * files, so two of one name do not go together; neither does another use of import.meta, for the bundle has another place.
 */
function takeNeighbours(form: BundleForm): Plugin {
  const places = new Map<string, string>();
  return {
    name: 'take-neighbours',
    transform(code, source) {
      if (source.includes('/node_modules/') || !code.includes('import.meta')) return null;
      const moved = code.replaceAll(neighbour, (_, path: string) => {
        const from = fileURLToPath(new URL(path, pathToFileURL(source)));
        const program = (Object.keys(programs) as BundledProgram[]).find(
          (name) => from === `${projectRoot}${programs[name]}`,
        );
        const name = program ? bundledProgram(program, form).file : basename(from);
        if (!program) {
          if (extname(from) === '.ts') this.error(`${source}: ${path} is not one of the programs`);
          if ((places.get(name) ?? from) !== from)
            this.error(`${from} and ${places.get(name)} have one name`);
          places.set(name, from);
          this.emitFile({ type: 'asset', fileName: name, source: readFileSync(from, 'utf8') });
        }
        return `new URL('${name}', import.meta.url)`;
      });
      if (/import\.meta(?!\.url\))/.test(moved.replaceAll(neighbour, '')))
        this.error(`${source}: of import.meta only new URL('a name', import.meta.url) is bundled`);
      return { code: moved, map: null };
    },
  };
}

/** Everything that belongs into the folder of the bundle. Rejects with what is wrong in the sources. */
export async function bundlePrograms(form: BundleForm = installedForm): Promise<readonly BundledFile[]> {
  const extension = extensionOf(form);
  const isPlain = !form.isMinified;
  const bundle = await rolldown({
    cwd: projectRoot,
    input: Object.fromEntries(
      Object.entries(programs).map(([name, source]) => [name, `${projectRoot}${source}`]),
    ),
    platform: 'node',
    tsconfig: false,
    external,
    plugins: [takeNeighbours(form)],
    onLog(level, log) {
      if (level === 'warn') throw new Error(`bundling: ${log.message}`);
    },
  });
  const { output } = await bundle.generate({
    format: form.format,
    strict: true,
    comments: false,
    minify: {
      compress: !isPlain,
      mangle: !isPlain,
      codegen: { removeWhitespace: !isPlain, asciiOnly: form.isAscii },
    },
    entryFileNames: `[name].${extension}`,
    chunkFileNames: `[name]-[hash].${extension}`,
  });
  await bundle.close();
  return output.map((file) => ({
    name: file.fileName,
    text: file.type === 'chunk' ? file.code : String(file.source),
  }));
}
