/** A YAML file with the lines of its parts, and what is found wrong or left out in it. */
import { type Document, isAlias, isMap, isNode, isScalar, isSeq, LineCounter, parseAllDocuments } from 'yaml';

export type Path = readonly (string | number)[];

/** What was found in one file: problems forbid to play it, notes are said and no more. */
export class Findings {
  readonly file: string;
  readonly #problems: { readonly line: number; readonly message: string }[] = [];
  readonly #notes = new Map<string, string>();

  constructor(file: string) {
    this.file = file;
  }

  problem(line: number, message: string): void {
    this.#problems.push({ line, message });
  }

  /** Said once per `topic`, with the first line that it stood on. */
  note(topic: string, line: number, reason: string): void {
    if (!this.#notes.has(topic)) this.#notes.set(topic, `line ${line}: ${topic}: ${reason}`);
  }

  /** By line; [] for a file that can be played. */
  get problems(): readonly string[] {
    return this.#problems
      .toSorted((a, b) => a.line - b.line)
      .map(({ line, message }) => `${this.file}:${line}: ${message}`);
  }

  get notes(): readonly string[] {
    return [...this.#notes.values()];
  }
}

/** One document of a file. */
export class Source {
  readonly #document: Document;
  readonly #lines: LineCounter;
  readonly findings: Findings;
  readonly value: unknown;

  constructor(document: Document, lines: LineCounter, findings: Findings, value: unknown) {
    this.#document = document;
    this.#lines = lines;
    this.findings = findings;
    this.value = value;
  }

  /** The line of the key, or entry, at `path`, or of the nearest part around it that the file has. */
  lineOf(path: Path): number {
    return this.#find(path).line;
  }

  /** The scalar at `path` as it is written, for instance 0644; undefined for anything else. */
  textOf(path: Path): string | undefined {
    const { node, isWhole } = this.#find(path);
    return isWhole && isScalar(node) ? node.source : undefined;
  }

  problem(path: Path, message: string): void {
    this.findings.problem(this.lineOf(path), `${formatPath(path)}: ${message}`);
  }

  note(topic: string, path: Path, reason: string): void {
    this.findings.note(topic, this.lineOf(path), reason);
  }

  #find(path: Path): { readonly line: number; readonly node: unknown; readonly isWhole: boolean } {
    let node: unknown = this.#document.contents;
    let line = this.#lineAt(node);
    for (const part of path) {
      if (isAlias(node)) node = node.resolve(this.#document);
      let next: unknown;
      if (isMap(node)) {
        const pair = node.items.find(({ key }) => (isScalar(key) ? String(key.value) : key) === String(part));
        if (pair === undefined) return { line, node, isWhole: false };
        line = this.#lineAt(pair.key) || line;
        next = pair.value;
      } else if (isSeq(node)) {
        next = node.items[Number(part)];
        line = this.#lineAt(next) || line;
      } else return { line, node, isWhole: false };
      node = next;
    }
    return { line, node, isWhole: true };
  }

  #lineAt(node: unknown): number {
    const offset = isNode(node) ? node.range?.[0] : undefined;
    return offset === undefined ? 0 : this.#lines.linePos(offset).line;
  }
}

/** The documents of a YAML text that hold anything. What is no YAML becomes a problem. */
export function readDocuments(text: string, findings: Findings): Source[] {
  const lines = new LineCounter();
  const documents = parseAllDocuments(text, { lineCounter: lines, merge: true, prettyErrors: false });
  if (!Array.isArray(documents)) return [];
  return documents.flatMap((document) => {
    for (const { message, pos } of document.errors) findings.problem(lines.linePos(pos[0]).line, message);
    if (document.errors.length > 0) return [];
    try {
      const value: unknown = document.toJS({ maxAliasCount: 1000 });
      return value === null ? [] : [new Source(document, lines, findings, value)];
    } catch (error) {
      findings.problem(1, error instanceof Error ? error.message : String(error));
      return [];
    }
  });
}

function formatPath(path: Path): string {
  return path
    .map((part, at) => (typeof part === 'number' ? `[${part}]` : at === 0 ? part : `.${part}`))
    .join('');
}
