// Publishes one message to the inbound exchange and waits for the broker's confirm.
//   node publish.mjs AMQP_URL JSON_BODY USER_ID X_PRODUCER
import amqp from "amqplib";

const [url, body, userId, producer] = process.argv.slice(2);
if (producer === undefined) {
  console.error("usage: publish.mjs AMQP_URL JSON_BODY USER_ID X_PRODUCER");
  process.exit(2);
}

const connection = await amqp.connect(url);
try {
  const channel = await connection.createConfirmChannel();
  channel.on("return", () => {
    console.error("the message was returned: no queue is bound to signals.inbound");
    process.exitCode = 1;
  });
  channel.publish("signals.inbound", "signals.inbound", Buffer.from(body), {
    persistent: true,
    mandatory: true,
    contentType: "application/json",
    messageId: JSON.parse(body).signal_id,
    userId,
    headers: { "x-producer": producer },
  });
  await channel.waitForConfirms();
} finally {
  await connection.close();
}
