import { expect, test } from 'vitest';
import { expandPaths, expandTemplate, unescapeTemplate } from './template.ts';

test('templates take fields, labels, paths and JSON, and name what they do not know', () => {
  const fields = { Names: 'web', ID: '1' };
  expect(expandTemplate(unescapeTemplate('table {{.ID}}\\t{{ .Names }}'), fields, {})).toBe('1\tweb');
  expect(expandTemplate('{{json .Names}} {{json .}}', fields, {})).toBe('"web" {"Names":"web","ID":"1"}');
  expect(expandTemplate('{{.Label "a.b/c"}}|{{.Label "x"}}', fields, { 'a.b/c': 'd' })).toBe('d|');
  expect(() => expandTemplate('{{.toString}}', fields, {})).toThrow('is not known');
  expect(() => expandTemplate('{{if .Names}}', fields, {})).toThrow('{{if .Names}} is not known');
  expect(expandPaths('{{.a.b}} {{.a}} {{.list.0}}', { a: { b: 1n }, list: ['x'] })).toBe('1 {"b":1} x');
  expect(() => expandPaths('{{.a.constructor}}', { a: {} })).toThrow('nothing at .a.constructor');
});
