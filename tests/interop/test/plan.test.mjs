// The producer's own rules: what it promises must be as well-defined as what it sends.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { KIND_NAMES } from '../lib/garbage.mjs';
import { plan } from '../lib/plan.mjs';

const field = (entry, name) => entry.fields.find(([key]) => key === name)?.[1];

test('the same seed gives the same entries, another one others', () => {
  assert.deepEqual(plan(7, 2_000), plan(7, 2_000));
  assert.notDeepEqual(plan(7, 2_000), plan(8, 2_000));
});

test('a tenth comes twice, a hundredth is garbage of every kind, and the number is as asked', () => {
  const { stream, counts } = plan(7, 20_000);
  assert.equal(stream.length, 20_000);
  assert.equal(counts.duplicates, 2_000);
  assert.deepEqual(Object.keys(counts.garbage), KIND_NAMES);
  assert.equal(Object.values(counts.garbage).reduce((a, b) => a + b), 200);
  assert.ok(counts.overtaken > 100 && counts.refused.conflict > 0 && counts.refused.wrong_status > 0);
});

test('what comes twice is the same to the byte and comes after the first', () => {
  const first = new Map();
  for (const entry of plan(7, 20_000).stream) {
    if (entry.what === 'garbage') continue;
    const id = field(entry, 'eventId');
    if (entry.what === 'duplicate') assert.deepEqual(entry.fields, first.get(id));
    else first.set(id, entry.fields);
  }
});

test('what overtakes its create stands close to it, and no second create overtakes the first', () => {
  const { stream } = plan(7, 20_000);
  const campaigns = new Map();
  stream.forEach((entry, at) => {
    if (entry.what !== 'command') return;
    const { campaignId } = JSON.parse(field(entry, 'data'));
    const key = `${field(entry, 'tenant') ?? 'default'}/${campaignId}`;
    const campaign = campaigns.get(key) ?? { first: at };
    if (field(entry, 'eventType') === 'campaign.created') campaign.create ??= at;
    campaigns.set(key, campaign);
  });
  for (const { first, create } of campaigns.values()) assert.ok(create - first < 1_000);
});

test('numbers name campaigns of both tenants', () => {
  const { campaigns } = plan(7, 2_000);
  const tenants = campaigns.filter(({ campaignId }) => campaignId === '1000').map(({ tenant }) => tenant);
  assert.deepEqual(tenants.sort(), ['acme', 'default']);
});
