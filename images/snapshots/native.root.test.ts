import { NativeSnapshotter } from './native.ts';
import { snapshotterSuite } from './testing/suite.ts';

snapshotterSuite('plain-copy', (options) => new NativeSnapshotter(options));
