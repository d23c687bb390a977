import { expect, test } from 'vitest';
import { readAudit } from './audit-dependencies.ts';

test('advisories are told with their range, and those who depend on the affected one are not', () => {
  const advisory = { title: 'crashes', url: 'https://example.org/1', range: '<1.2.3' };
  const vulnerabilities = {
    leaf: { severity: 'high', via: [advisory] },
    above: { severity: 'high', via: ['leaf'] },
  };
  const found = ['leaf <1.2.3: high, crashes https://example.org/1'];
  expect(readAudit(JSON.stringify({ auditReportVersion: 2, vulnerabilities }))).toEqual({
    kind: 'answered',
    found,
  });
  expect(readAudit('{"auditReportVersion":2,"vulnerabilities":{}}')).toEqual({ kind: 'answered', found: [] });
});

test('a registry that does not serve audits, and one that cannot be asked, are not taken for a good answer', () => {
  const refused = { message: '405 Method Not Allowed', statusCode: 405, error: { summary: '' } };
  expect(readAudit(JSON.stringify(refused))).toEqual({ kind: 'not served', words: '405 Method Not Allowed' });
  const failed = { error: { code: 'ENOTFOUND', summary: 'getaddrinfo failed' } };
  expect(readAudit(JSON.stringify(failed))).toEqual({ kind: 'failed', words: 'getaddrinfo failed' });
  expect(readAudit('')).toEqual({ kind: 'failed', words: 'npm said nothing' });
});
