// Reads AsyncAPI documents, one a line, and prints for each what the official parser says about it.
import { createInterface } from 'node:readline';
import { Parser } from '@asyncapi/parser';

const parser = new Parser();
for await (const line of createInterface({ input: process.stdin })) {
  const { document, diagnostics } = await parser.parse(line);
  const channels = document ? document.channels().all().map((channel) => channel.id()) : null;
  console.log(JSON.stringify({ channels, diagnostics }));
}
