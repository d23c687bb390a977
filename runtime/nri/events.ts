/** The events of NRI: what each is called, and what plugins from before it are sent instead. */
import {
  Event,
  type MessageInits,
  type Messages,
  type Plugin as PluginService,
} from '#proto/nri/generated/nri.ts';

export const eventNumbers = {
  RunPodSandbox: Event.RUN_POD_SANDBOX,
  UpdatePodSandbox: Event.UPDATE_POD_SANDBOX,
  PostUpdatePodSandbox: Event.POST_UPDATE_POD_SANDBOX,
  StopPodSandbox: Event.STOP_POD_SANDBOX,
  RemovePodSandbox: Event.REMOVE_POD_SANDBOX,
  CreateContainer: Event.CREATE_CONTAINER,
  PostCreateContainer: Event.POST_CREATE_CONTAINER,
  StartContainer: Event.START_CONTAINER,
  PostStartContainer: Event.POST_START_CONTAINER,
  UpdateContainer: Event.UPDATE_CONTAINER,
  PostUpdateContainer: Event.POST_UPDATE_CONTAINER,
  StopContainer: Event.STOP_CONTAINER,
  RemoveContainer: Event.REMOVE_CONTAINER,
  ValidateContainerAdjustment: Event.VALIDATE_CONTAINER_ADJUSTMENT,
} as const;

export type EventName = keyof typeof eventNumbers;
export type EventRequest<N extends EventName> = MessageInits[(typeof PluginService)[N]['requestType']];
export type EventReply<N extends EventName> = Messages[(typeof PluginService)[N]['responseType']];

/** Events that carry no answer: old plugins take them by the method StateChange. */
const notifications: ReadonlySet<EventName> = new Set([
  'RunPodSandbox',
  'PostUpdatePodSandbox',
  'StopPodSandbox',
  'RemovePodSandbox',
  'PostCreateContainer',
  'StartContainer',
  'PostStartContainer',
  'PostUpdateContainer',
  'RemoveContainer',
]);

/** Whether an event can be sent as StateChange. */
export function isNotification(name: EventName): boolean {
  return notifications.has(name);
}

/** The bit of an event in a subscription. */
export function eventBit(name: EventName): number {
  return 1 << (eventNumbers[name] - 1);
}

export const everyEvent = (1 << (Event.LAST - 1)) - 1;
