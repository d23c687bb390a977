export * from '../cri-client.ts';
