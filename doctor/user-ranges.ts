import { defineArea, hasKubelet } from './area.ts';

interface Range {
  readonly owner: string;
  readonly start: number;
  readonly count: number;
}

function rangesOf(text: string): Range[] {
  return text.split('\n').flatMap((line) => {
    const [owner = '', start = '', count = ''] = line.trim().split(':');
    return /^\d+$/.test(start) && /^\d+$/.test(count)
      ? [{ owner, start: Number(start), count: Number(count) }]
      : [];
  });
}

/** Ids that user namespaces of pods are made of (the kubelet asks `getsubids kubelet`). */
export const userRanges = defineArea(
  'user-ranges',
  'Ids of user namespaces',
  {
    overlap: {
      severity: 'warning',
      what: '{path} gives {one} and {other} the same ids',
      breaks: 'the isolation between pods with user namespaces and the other owner',
      mend: 'give each a range of its own in {path}',
    },
    'kubelet-short': {
      severity: 'warning',
      what: '{path} gives the kubelet {count} ids, enough for {pods} pods with user namespaces',
      breaks: 'further pods with hostUsers: false',
      mend: 'give it 65536 for each pod: kubelet:65536:7208960 in /etc/subuid and /etc/subgid',
    },
    'getsubids-missing': {
      severity: 'note',
      what: '/etc/subuid has ids for the kubelet, and getsubids is not there',
      breaks: "the kubelet's choice of ids: it does not see its range and refuses to start",
      mend: 'apt-get install uidmap',
    },
  },
  (subject, report) => {
    const { machine } = subject;
    if (!hasKubelet(subject)) return;
    for (const path of ['/etc/subuid', '/etc/subgid']) {
      const ranges = rangesOf(machine.read(path) ?? '');
      const kubelet = ranges.find(({ owner }) => owner === 'kubelet');
      if (!kubelet) continue;
      for (const { owner, start, count } of ranges)
        if (owner !== 'kubelet' && start < kubelet.start + kubelet.count && kubelet.start < start + count)
          report('overlap', { path, one: 'kubelet', other: owner });
      const pods = Math.floor(kubelet.count / 65_536);
      if (pods < 110) report('kubelet-short', { path, count: kubelet.count, pods });
      if (path === '/etc/subuid' && machine.findProgram('getsubids') === undefined)
        report('getsubids-missing');
    }
  },
);
