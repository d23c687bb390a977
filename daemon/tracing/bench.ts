/** What a step costs without tracing, in a call that is not sampled, and in one that is: nanoseconds, the median of rounds. */
import { span, watchSpans } from '#base/span.ts';
import { step } from '#base/step.ts';
import { tracingWatcher } from './tracer.ts';

const rounds = 15;
const steps = 20_000;

async function measure(): Promise<number> {
  const times: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const startedMs = performance.now();
    await span('rpc', 'Bench', async () => {
      for (let at = 0; at < steps; at += 1) await step('run-sandbox/record', () => at);
    });
    times.push(((performance.now() - startedMs) / steps) * 1e6);
  }
  return Math.round(times.toSorted((a, b) => a - b)[Math.floor(rounds / 2)]!);
}

await measure();
const off = await measure();
watchSpans(tracingWatcher({ samplingRatio: 0, onEnd: () => {} }));
const notSampled = await measure();
watchSpans(tracingWatcher({ samplingRatio: 1, onEnd: () => {} }));
const sampled = await measure();
console.log(
  `a step, tracing off: ${off} ns; in a call that is not sampled: ${notSampled} ns; in one that is: ${sampled} ns`,
);
