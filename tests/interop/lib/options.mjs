// Command lines of these programs: `--name value` only, numbers where numbers are due.

import { parseArgs } from 'node:util';

/** Reads the command line against `defaults`: their types are the options' types; null is a text without a default. */
export function options(defaults) {
  const types = Object.fromEntries(Object.keys(defaults).map((name) => [name, { type: 'string' }]));
  const given = parseArgs({ options: types, strict: true }).values;
  const read = (name, fallback) => {
    if (given[name] === undefined) return fallback;
    if (typeof fallback !== 'number') return given[name];
    const number = Number(given[name]);
    if (!Number.isSafeInteger(number)) throw new Error(`--${name} must be a whole number, not ${given[name]}`);
    return number;
  };
  return Object.fromEntries(Object.entries(defaults).map(([name, fallback]) => [name, read(name, fallback)]));
}

/** Writes one line of JSON for the program that started this one. */
export function tell(line) {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

/** Writes a line for people. */
export function say(text) {
  process.stderr.write(`${text}\n`);
}
