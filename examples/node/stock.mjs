// The participant `stock`: reserves goods and releases them, each once, whatever comes twice or too late.
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, truncateSync, writeSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import amqp from 'amqplib';

const URL = process.env.SAGA_AMQP_URL ?? 'amqp://guest:guest@127.0.0.1:5672/%2f';
const PREFIX = process.env.SAGA_AMQP_PREFIX ?? 'saga';
const JOURNAL = process.env.STOCK_JOURNAL ?? 'stock.journal';
const ON_HAND = 1000; // of every item, to begin with

// What was done, by idempotency key: {item, quantity, output}, or {undone: output}. Here the effect is the entry
// itself, so both are written in one go; with a database, write them in one transaction.
const effects = new Map();
const reserved = new Map();

function apply({ key, ...effect }) {
  const before = effects.get(key);
  if (before?.item) reserved.set(before.item, reserved.get(before.item) - before.quantity);
  if (effect.item) reserved.set(effect.item, (reserved.get(effect.item) ?? 0) + effect.quantity);
  effects.set(key, effect);
}

// A crash may have cut off the last line: it was never acknowledged, so it is dropped.
const text = existsSync(JOURNAL) ? readFileSync(JOURNAL, 'utf8') : '';
const whole = text.slice(0, text.lastIndexOf('\n') + 1);
for (const line of whole.split('\n').filter(Boolean)) apply(JSON.parse(line));
if (text !== whole) truncateSync(JOURNAL, Buffer.byteLength(whole));
const journal = openSync(JOURNAL, 'a');
process.on('exit', () => closeSync(journal));

function remember(entry) {
  writeSync(journal, `${JSON.stringify(entry)}\n`);
  fsyncSync(journal); // durable before it is answered
  apply(entry);
}

function reserve({ idempotency_key: key, parameters }) {
  const known = effects.get(key);
  if (known?.undone) return failure('undone', 'it was released before it came');
  if (known) return { output: known.output };
  const { item, quantity } = parameters ?? {};
  if (typeof item !== 'string' || !Number.isInteger(quantity) || quantity < 1) {
    return failure('invalid_input', 'item is a text and quantity a number above 0');
  }
  if ((reserved.get(item) ?? 0) + quantity > ON_HAND) return failure('out_of_stock', `not enough ${item}`);
  const output = { reservation: `reservation-${effects.size + 1}` };
  remember({ key, item, quantity, output });
  return { output };
}

function release({ compensates }) {
  const key = compensates?.idempotency_key;
  if (typeof key !== 'string') return failure('invalid_input', 'a compensation says what it undoes');
  const known = effects.get(key);
  if (known?.undone) return { output: known.undone };
  const undone = known ? { released: known.output.reservation } : { nothing_to_undo: true };
  remember({ key, undone });
  return { output: undone };
}

const failure = (code, message) => ({ error: { code, message, retryable: false } });

function carryOut(command) {
  if (command.kind === 'action' && command.action === 'reserve') return reserve(command);
  if (command.kind === 'compensation' && command.action === 'release') return release(command);
  return failure('unknown_action', `stock has no ${command.kind} ${command.action}`);
}

function read(message) {
  try {
    const command = JSON.parse(message.content.toString());
    const isCommand = [command?.command_id, command?.idempotency_key].every((id) => typeof id === 'string');
    return isCommand ? command : null;
  } catch {
    return null;
  }
}

async function answer(channel, returned, message) {
  const command = read(message);
  if (command === null) return channel.nack(message, false, false); // to the dead letters
  const reply = { command_id: command.command_id, ...carryOut(command) };
  const word = reply.error ? 'failed' : 'completed';
  const messageId = `${command.command_id}.${word}`;
  await new Promise((resolve, reject) => {
    const properties = { contentType: 'application/json', persistent: true, mandatory: true, messageId };
    const body = Buffer.from(JSON.stringify(reply));
    const confirmed = (error) => (error ? reject(error) : resolve());
    channel.publish(`${PREFIX}.events`, `${command.reply_key ?? 'step'}.${word}`, body, properties, confirmed);
  });
  if (returned.delete(messageId)) throw new Error(`no queue takes ${messageId}`);
  channel.ack(message); // only now: whatever goes wrong before, the command comes again
}

async function serve() {
  const connection = await amqp.connect(URL, { timeout: 5000 });
  try {
    await new Promise((resolve, reject) => consume(connection, reject).catch(reject));
  } finally {
    await connection.close().catch(() => {});
  }
}

async function consume(connection, lost) {
  connection.on('error', lost);
  connection.on('close', () => lost(new Error('the connection was closed')));
  const channel = await connection.createConfirmChannel();
  channel.on('error', lost);
  channel.on('close', () => lost(new Error('the channel was closed')));
  const returned = new Set();
  channel.on('return', ({ properties }) => returned.add(properties.messageId));
  await channel.prefetch(10);
  // The same arguments as the orchestrator's: whoever comes first makes the queue.
  await channel.assertQueue(`${PREFIX}.step.stock`, {
    durable: true,
    arguments: { 'x-queue-type': 'quorum', 'x-dead-letter-exchange': `${PREFIX}.dead`, 'x-delivery-limit': 1000 },
  });
  await channel.consume(`${PREFIX}.step.stock`, (message) => {
    if (message === null) lost(new Error('the queue was deleted'));
    else answer(channel, returned, message).catch(lost);
  });
  console.error('stock is ready');
}

for (;;) {
  await serve().catch((error) => console.error(`stock: ${error.message}; connecting again`));
  await pause(1000);
}
