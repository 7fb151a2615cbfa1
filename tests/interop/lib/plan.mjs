// What a Main API publishes in one run: the lives of many campaigns, mixed as they mix in reality, with events that come
// twice, updates that overtake their create, and garbage. The same seed gives the same entries.
//
// The service handles a campaign's events in the order of the stream, except that a create goes before what waits for it.
// So the last word of a life is the last one of its producer, wherever its create stands.

import { garbage, KIND_NAMES } from './garbage.mjs';
import { life } from './life.mjs';
import { chance } from './random.mjs';

const DUPLICATES = 0.1;
const GARBAGE = 0.01;
/** How many campaigns have events that overtake their create. */
const OVERTAKEN = 0.06;
const TENANTS = ['default', 'acme'];
const FIRST_EVENT = Date.UTC(2026, 0, 1);

/** The entries of a run with `seed`, in order, and the campaigns that they must leave behind. */
export function plan(seed, entries) {
  const random = chance(seed);
  const garbageCount = Math.max(KIND_NAMES.length, Math.round(entries * GARBAGE));
  const duplicateCount = Math.round(entries * DUPLICATES);
  const commandCount = entries - garbageCount - duplicateCount;
  if (commandCount < KIND_NAMES.length) throw new Error(`${entries} entries are too few: some of each kind must be there`);

  const lives = [];
  const commands = [];
  let overtaken = 0;
  while (commands.length < commandCount) {
    const { tenant, id } = nameOf(random, lives.length);
    const played = life(random, tenant, id, commandCount - commands.length);
    lives.push(played);
    overtaken += place(random, played, entries, commands);
  }
  const duplicates = Array.from({ length: duplicateCount }, () => {
    const original = random.pick(commands);
    return { ...original, at: original.at + random.next() ** 2 * entries * 0.05, what: 'duplicate' };
  });
  const spoilt = Array.from({ length: garbageCount }, (_, n) => {
    return { at: random.next() * entries, what: 'garbage', ...garbage(n, random.pick(TENANTS), iso(n)) };
  });
  // Sorting is stable: what repeats something at the same place comes after it.
  const stream = [...commands, ...duplicates, ...spoilt].sort((a, b) => a.at - b.at);
  return {
    stream,
    campaigns: lives.map((played) => played.expected()),
    counts: {
      entries: stream.length,
      commands: commands.length,
      duplicates: duplicateCount,
      garbage: count(spoilt, (entry) => entry.kind),
      refused: count(commands.filter((entry) => entry.refused), (entry) => entry.refused),
      overtaken,
      campaigns: lives.length,
    },
  };
}

/** Gives a life's commands their places among all entries; answers how many of them stand before their create. */
function place(random, played, entries, commands) {
  const early = random.happens(OVERTAKEN) ? Math.min(random.between(1, 3), played.mayOvertake()) : 0;
  let at = random.next() * entries * 0.9;
  // What overtakes stands close to the create, so that this comes well within the time that the others wait for it.
  const places = played.commands.map((_, n) => (at += n <= early ? random.next() * 150 : random.next() ** 4 * entries * 0.05));
  const [create] = places.splice(early, 1);
  places.unshift(create);
  played.commands.forEach((command, n) => {
    const timestamp = iso(commands.length);
    commands.push({ what: 'command', at: places[n], refused: command.refused, fields: fields(random, played, command, timestamp) });
  });
  return early;
}

function fields(random, played, { type, data }, timestamp) {
  const entry = [['eventId', random.uuid()], ['eventType', type], ['timestamp', timestamp], ['source', 'main-api']];
  if (played.tenant !== 'default' || random.happens(0.5)) entry.push(['tenant', played.tenant]);
  if (random.happens(0.5)) entry.push(['correlationId', `request-${random.below(1e9)}`]);
  if (random.happens(0.2)) entry.push(['causationId', '']);
  entry.push(['data', JSON.stringify(data)]);
  if (random.happens(0.1)) entry.push(['aFieldOfTomorrow', 'ignored']);
  return entry;
}

/** Producers name campaigns as they like; the same number in two tenants is two campaigns. */
function nameOf(random, n) {
  const tenant = TENANTS[Math.floor(n / 3) % 2];
  switch (n % 3) {
    case 0: return { tenant, id: 1_000 + Math.floor(n / 6) };
    case 1: return { tenant, id: random.uuid() };
    default: return { tenant, id: `summer:2090.${n}-${random.pick(['a', 'B', '_'])}` };
  }
}

function iso(n) {
  return new Date(FIRST_EVENT + n * 37).toISOString();
}

function count(items, of) {
  const counts = {};
  for (const item of items) counts[of(item)] = (counts[of(item)] ?? 0) + 1;
  return counts;
}
