import { describeEventStore } from './event-store.suite';
import { MemoryEventStore } from './memory-event-store';

describeEventStore('the event log in memory', async () => {
  const store = new MemoryEventStore();
  return { store, other: store, close: async () => {} };
});
