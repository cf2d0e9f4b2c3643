import { positions } from './ordered-delivery';

test.each([
  ['as nats-server has it today', '$JS.ACK.KMS_EVENTS.consumer.1.4711.42.1764043200123456789.7'],
  ['with domain and account', '$JS.ACK.hub.AbCd.KMS_EVENTS.consumer.1.4711.42.1764043200123456789.7'],
  ['with a token behind', '$JS.ACK._.AbCd.KMS_EVENTS.consumer.1.4711.42.1764043200123456789.7.x7Kq'],
])('positions are read from the subject of an acknowledgement %s', (_, reply) => {
  expect(positions(reply)).toEqual({ streamSeq: 4711, consumerSeq: 42 });
});
