// Entries that no reader can understand, by kind, each with the code that its dead letter must carry.

const MALFORMED = 'malformed_event';

const fine = (nonce) => ({
  campaignId: `garbage-${nonce}`,
  startTime: '2090-01-01T00:00:00Z',
  endTime: '2090-01-02T00:00:00Z',
});

/** What is wrong, and how it is made from an entry that would be fine. */
const KINDS = {
  not_json: [MALFORMED, (entry) => ({ ...entry, data: entry.data.slice(0, -9) })],
  not_an_object: [MALFORMED, (entry) => ({ ...entry, data: `[${entry.data}]` })],
  unknown_type: ['unknown_event_type', (entry) => ({ ...entry, eventType: 'campaign.exploded' })],
  missing_start: [MALFORMED, (entry, nonce) => ({ ...entry, data: data(nonce, { startTime: undefined }) })],
  missing_data: [MALFORMED, (entry) => ({ ...entry, data: undefined })],
  missing_event_id: [MALFORMED, (entry) => ({ ...entry, eventId: undefined })],
  missing_event_type: [MALFORMED, (entry) => ({ ...entry, eventType: undefined })],
  wrong_tenant: [MALFORMED, (entry) => ({ ...entry, tenant: 'acme & söhne' })],
  wrong_window: [MALFORMED, (entry, nonce) => ({ ...entry, data: data(nonce, { endTime: '2089-01-01T00:00:00Z' }) })],
  wrong_campaign_id: [MALFORMED, (entry, nonce) => ({ ...entry, data: data(nonce, { campaignId: 'with spaces' }) })],
  repeated_field: [MALFORMED, (entry) => ({ ...entry, again: ['tenant', 'acme'] })],
  not_utf8: [MALFORMED, (entry) => ({ ...entry, eventId: Buffer.from([0x67, 0xff, 0xfe, 0xc3]) })],
  too_large: [MALFORMED, (entry, nonce) => ({ ...entry, data: large(nonce, 200 * 1024) })],
  much_too_large: [MALFORMED, (entry, nonce) => ({ ...entry, data: large(nonce, 2 * 1024 * 1024) })],
};

function data(nonce, other) {
  return JSON.stringify({ ...fine(nonce), ...other });
}

function large(nonce, bytes) {
  return data(nonce, { metadata: { text: 'x'.repeat(bytes) } });
}

/** The kinds, in the order in which they are dealt out. */
export const KIND_NAMES = Object.keys(KINDS);

/** The `n`th garbage entry of a run: its kind, the code of its dead letter, and its fields as pairs. */
export function garbage(n, tenant, timestamp) {
  // One that is much too large is enough.
  const kind = n < KIND_NAMES.length ? KIND_NAMES[n] : KIND_NAMES[n % (KIND_NAMES.length - 1)];
  const [code, spoil] = KINDS[kind];
  const { again, ...entry } = spoil(
    {
      eventId: `garbage-${n}`,
      eventType: 'campaign.created',
      timestamp,
      source: 'main-api',
      tenant,
      data: data(n),
    },
    n,
  );
  const fields = Object.entries(entry).filter(([, value]) => value !== undefined);
  return { kind, code, tenant: kind === 'wrong_tenant' ? 'default' : tenant, fields: again ? [...fields, again] : fields };
}
