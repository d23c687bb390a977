import { expect, test } from 'vitest';
import { patternOf, planPasses } from './passes.ts';

const handler = (name: string, hasUserNamespaces: boolean) => ({ name, hasUserNamespaces });
const plain = '[k8s.io] Security Context bucket runtime should support RunAsUser';
const mapped = '[k8s.io] Security Context UserNamespaces when Host idmap mount support is needed x';

test('one pass is enough where the wanted handler has user namespaces, or no handler has', () => {
  const able = [handler('', true), handler('crun', true), handler('runc', false)];
  expect(planPasses(able, '').map((pass) => pass.handler)).toEqual(['']);
  const none = planPasses([handler('', false), handler('crun', false)], '');
  expect(none.map((pass) => [pass.handler, pass.isOwnSpec(mapped)])).toEqual([['', true]]);
});

test('otherwise the specs that need them, and no others, run on a handler that has them', () => {
  const handlers = [
    handler('', false),
    handler('crun', false),
    handler('newer', true),
    handler('runc', false),
  ];
  for (const wanted of ['', 'runc']) {
    const passes = planPasses(handlers, wanted);
    expect(passes.map((pass) => pass.handler)).toEqual([wanted, 'newer']);
    expect(passes.map((pass) => pass.isOwnSpec(plain))).toEqual([true, false]);
    expect(passes.map((pass) => pass.isOwnSpec(mapped))).toEqual([false, true]);
  }
});

test('the pattern of a name fits it and no longer one', () => {
  const pattern = new RegExp(patternOf('[k8s.io] a (b) [Conformance]'));
  expect(pattern.test('suite [k8s.io] a (b) [Conformance]')).toBe(true);
  expect(pattern.test('suite [k8s.io] a (b) [Conformance] c')).toBe(false);
});
