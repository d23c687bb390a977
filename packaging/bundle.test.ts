import { isBuiltin } from 'node:module';
import { beforeAll, expect, it } from 'vitest';
import { bundlePrograms } from './bundle.ts';

const files = new Map<string, string>();

beforeAll(async () => {
  for (const { name, text } of await bundlePrograms()) files.set(name, text);
});

/** What a file asks for as it is loaded, or at any time. */
function requiredBy(name: string, when: 'at once' | 'ever'): string[] {
  const pattern =
    when === 'at once' ? /^(?:const \w+ = )?require\("([^"]+)"\)/gm : /\b(?:require|import)\("([^"]+)"\)/g;
  return [...files.get(name)!.matchAll(pattern)].map((match) => match[1]!);
}

/** All that is loaded with a file before it does anything. */
function loadedWith(name: string): Set<string> {
  const loaded = new Set([name]);
  for (const file of loaded)
    for (const required of requiredBy(file, 'at once'))
      if (required.startsWith('./')) loaded.add(required.slice(2));
  return loaded;
}

const partNamed = (beginning: string): string =>
  [...files.keys()].find((name) => name.startsWith(`${beginning}-`))!;

it('asks for nothing that is not there', () => {
  const parts = [...files.keys()].filter((name) => name.endsWith('.cjs'));
  const outside = new Set<string>();
  for (const part of parts)
    for (const required of requiredBy(part, 'ever'))
      if (!required.startsWith('./')) outside.add(required);
      else expect([...files.keys()], part).toContain(required.slice(2));
  const packages = [...outside].filter((name) => !isBuiltin(name));
  expect(packages.sort()).toEqual(['@grpc/proto-loader', 'koffi', 'pino-pretty']);
});

it('takes along what the sources read beside themselves', () => {
  const data = [...files.keys()].filter((name) => !name.endsWith('.cjs'));
  expect(data.sort()).toEqual([
    'admin.json',
    'cri.json',
    'nri.json',
    'package.json',
    'page.css',
    'page.js',
    'ttrpc.json',
  ]);
});

it('loads later what the sources import later', () => {
  expect(loadedWith('berthd.cjs')).not.toContain(partNamed('serve'));
  expect(loadedWith(partNamed('serve'))).not.toContain(partNamed('plugin-set'));
  expect(loadedWith('berth.cjs')).not.toContain(partNamed('connection'));
  expect(loadedWith('layers.cjs')).not.toContain(partNamed('serve'));
});

it('is ASCII: one other letter doubles the memory of its file', () => {
  for (const [name, text] of files)
    if (name.endsWith('.cjs')) expect(/[^\0-\x7f]/.test(text), name).toBe(false);
});
