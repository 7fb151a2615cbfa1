// Checks an AsyncAPI document with the parser of the AsyncAPI project: `node asyncapi.mjs <file>`.
// Errors and warnings are findings; hints are not.

import { readFile } from 'node:fs/promises';

import { DiagnosticSeverity, Parser } from '@asyncapi/parser';

import { say, tell } from './lib/options.mjs';

const file = process.argv[2];
if (!file) throw new Error('which document? node asyncapi.mjs <file>');

const { document, diagnostics } = await new Parser().parse(await readFile(file, 'utf8'));
const findings = diagnostics.filter(({ severity }) => severity <= DiagnosticSeverity.Warning);
for (const { code, message, path } of findings) say(`${path.join('.')}: ${message} (${code})`);
const counts = document && {
  version: document.version(),
  servers: document.servers().length,
  channels: document.channels().length,
  operations: document.operations().length,
  messages: document.messages().length,
};
tell({ type: 'summary', ok: document !== undefined && findings.length === 0, findings: findings.length, ...counts });
process.exitCode = document !== undefined && findings.length === 0 ? 0 : 1;
